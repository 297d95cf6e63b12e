// What must not pile up: rows that only remember something, and are in nobody's way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idSource } from '#src/core/id.js'
import { rememberMs } from '#src/core/retention.js'
import { ManualClock } from '#src/store/clock.js'
import type { NewUnique } from '#src/store/records.js'
import { foreignConnection, openStore, someJob, temporaryFile } from './files.ts'

test('prune forgets keys whose time is over and replacements that are old, as many as it may', async (t) => {
  const path = temporaryFile(t)
  const clock = new ManualClock()
  const store = openStore(t, path, { clock })
  await store.open()
  const app = foreignConnection(t, path)
  const rows = (table: string): number =>
    (app.prepare(`SELECT count(*) AS n FROM forgeq_${table}`).get() as { n: number }).n
  const left = (): readonly number[] => ['uniq', 'replacement', 'deadline'].map(rows)
  const newId = idSource(
    () => clock.now(),
    (bytes) => bytes.fill(1),
  )
  const enqueue = async (unique: NewUnique): Promise<void> => {
    await store.enqueue([someJob({ id: newId(), unique, expireMs: 2 * rememberMs })], { atomic: true })
  }
  for (const key of ['a', 'b', 'c']) {
    await enqueue({ key, forMs: rememberMs, onConflict: 'keep' })
    await enqueue({ key, until: 'done', onConflict: 'replace' })
    await enqueue({ key, until: 'done', onConflict: 'replace' })
  }
  assert.deepEqual(left(), [3, 6, 3], 'one deadline a job, however often it was replaced')
  clock.advance(rememberMs - 1)
  assert.deepEqual(await store.prune(10), { removed: 0, more: false })
  assert.deepEqual(left(), [3, 6, 3])
  clock.advance(1)
  assert.deepEqual(await store.prune(2), { removed: 0, more: true })
  assert.deepEqual(left(), [1, 4, 3])
  assert.deepEqual(await store.prune(10), { removed: 0, more: false })
  assert.deepEqual(left(), [0, 0, 3])
})
