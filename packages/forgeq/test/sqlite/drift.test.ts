// A file whose schema is not what the migrations make: each difference is named with what puts it right.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignConnection, openStore, temporaryFile } from './files.ts'
import { version2 } from './version-2.ts'

test('a new file has no drift, nor has one that was migrated, nor one that is not there', async (t) => {
  const [path, old] = [temporaryFile(t), temporaryFile(t)]
  assert.deepEqual(await openStore(t, path).drift(), [])
  const store = openStore(t, path)
  await store.open()
  assert.deepEqual(await store.drift(), [])
  foreignConnection(t, old).exec(version2)
  const migrated = openStore(t, old)
  assert.match((await migrated.drift()).join('\n'), /not compared.*version 2/)
  foreignConnection(t, old).exec('UPDATE forgeq_worker SET closed = 1, left_at = 1')
  await migrated.migrate('apply')
  assert.deepEqual(await migrated.drift(), [])
  assert.deepEqual(await openStore(t, ':memory:').drift(), [])
})

const kinds: readonly (readonly [what: string, sql: string, told: RegExp, cure?: RegExp])[] = [
  [
    'a missing index',
    'DROP INDEX forgeq_ready_moved',
    /^The index forgeq_ready_moved is missing: DROP INDEX IF EXISTS forgeq_ready_moved, then CREATE INDEX/,
    /then (.*)/s,
  ],
  [
    'an index of others',
    'CREATE INDEX theirs ON forgeq_job (type)',
    /^The index theirs of forgeq_job is not ForgeQ's.*: DROP INDEX theirs, unless/,
    /: (DROP INDEX theirs)/,
  ],
  ['another table', 'ALTER TABLE forgeq_job ADD COLUMN mine TEXT', /^The table forgeq_job is not as it was made: /],
  ['a missing table', 'DROP TABLE forgeq_progress', /^The table forgeq_progress is missing: /],
  [
    'a missing trigger',
    'DROP TRIGGER forgeq_enqueue_insert',
    /^The trigger forgeq_enqueue_insert is missing: DROP TRIGGER/,
    /then (.*)/s,
  ],
]

for (const [what, sql, told, cure] of kinds) {
  test(`drift: ${what}`, async (t) => {
    const path = temporaryFile(t)
    const store = openStore(t, path)
    await store.open()
    const app = foreignConnection(t, path)
    app.exec('CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT UNIQUE)')
    app.exec(sql)
    const drift = await store.drift()
    assert.equal(drift.length, 1, drift.join('\n'))
    assert.match(drift[0]!, told)
    if (cure === undefined) return
    app.exec(cure.exec(drift[0]!)![1]!)
    assert.deepEqual(await store.drift(), [])
  })
}
