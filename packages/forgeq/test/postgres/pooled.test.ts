// The PostgreSQL store behind a pooler: behind-pooler.ts, where PgBouncer is installed. npm does not have it.
import { test } from 'node:test'
import { findPooler } from './pooler.ts'

if (findPooler() === undefined) {
  test('postgres through PgBouncer', { skip: 'needs PgBouncer (apt-get install pgbouncer)' })
} else {
  await import('./behind-pooler.ts')
}
