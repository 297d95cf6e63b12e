// Files of older versions: refused until they are migrated, and then as good as new ones.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { complete } from '#src/conformance/endings.js'
import type { Database } from '#src/sqlite/connect.js'
import { ManualClock } from '#src/store/clock.js'
import type { Enqueued, NewUnique } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { idSource } from '#src/core/id.js'
import { foreignConnection, openStore, someJob, temporaryFile } from './files.ts'
import { madeAt, version2 } from './version-2.ts'

function oldFile(t: TestContext): { path: string; app: Database } {
  const path = temporaryFile(t)
  const app = foreignConnection(t, path)
  app.exec(version2)
  return { path, app }
}

async function migrated(t: TestContext): Promise<{ store: Store; app: Database; clock: ManualClock }> {
  const { path, app } = oldFile(t)
  // The leases of those who worked on it are over, and nobody has closed them.
  const clock = new ManualClock(madeAt + 600_000)
  const store = openStore(t, path, { clock })
  await store.migrate('apply')
  return { store, app, clock }
}

const states = ['cancelled', 'completed', 'dead', 'parked', 'ready', 'retried', 'running', 'scheduled']

test('an older schema is refused until it is migrated', async (t) => {
  const { path } = oldFile(t)
  await assert.rejects(openStore(t, path).open(), { code: 'MIGRATION_NEEDED', message: /forgeq migrate/ })
  const migrator = openStore(t, path)
  const { version, steps } = await migrator.migrate('plan')
  assert.deepEqual([version, steps[0]], [2, '003 deduplication'])
  assert.deepEqual((await migrator.migrate('apply')).steps, steps)
  assert.deepEqual((await migrator.migrate('apply')).steps, [])
  await openStore(t, path).open()
})

test('a file is not migrated while workers of its version run on it', async (t) => {
  const { path } = oldFile(t)
  const store = openStore(t, path, { clock: new ManualClock(madeAt) })
  await assert.rejects(store.migrate('apply'), { code: 'STATE_CONFLICT', message: /stop them, then migrate/ })
  assert.equal((await store.migrate('plan')).version, 2)
})

test('two migrators at once make one schema', async (t) => {
  const path = temporaryFile(t)
  const stores = [openStore(t, path), openStore(t, path), openStore(t, path)]
  const done = await Promise.all(stores.map((store) => store.migrate('apply')))
  assert.deepEqual(
    done.map((migration) => migration.version),
    done.map((migration) => migration.target),
  )
})

test('a migrated file has the schema of a new one', async (t) => {
  const schemaOf = (db: Database): unknown =>
    db.prepare(`SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name`).all()
  const { app } = await migrated(t)
  const path = temporaryFile(t)
  await openStore(t, path).open()
  assert.deepEqual(schemaOf(app), schemaOf(foreignConnection(t, path)))
})

test('jobs of an older file are what they were, and their keys are held until they have ended', async (t) => {
  const { store, clock } = await migrated(t)
  const newId = idSource(
    () => clock.now(),
    (bytes) => bytes.fill(7),
  )
  const enqueue = async (key: string, onConflict: NewUnique['onConflict'] = 'keep'): Promise<Enqueued> => {
    const unique: NewUnique = { key, until: 'done', onConflict }
    const [answer] = await store.enqueue([someJob({ id: newId(), type: 'work', unique })], { atomic: true })
    return answer!
  }
  const { jobs } = await store.find({}, null, 100)
  const byKey = new Map(jobs.map((job) => [job.unique?.key, job]))
  assert.deepEqual([...byKey.keys()].filter((key) => key !== undefined).sort(), states)
  for (const key of states) {
    const { id, state, payload, unique } = byKey.get(key)!
    assert.equal(state, { parked: 'ready', retried: 'scheduled' }[key] ?? key)
    assert.deepEqual([payload, unique], [JSON.stringify(key), { key, until: 'done' }])
    const hasEnded = ['cancelled', 'completed', 'dead'].includes(key)
    assert.equal((await enqueue(key)).id === id, !hasEnded, key)
  }

  const running = byKey.get('running')!
  const turn = { worker: 'worker-1', turn: 8, wants: [], slots: 0, notes: [] }
  await store.exchange({ ...turn, settlements: [complete({ job: running.id, claim: 1 })] })
  assert.notEqual((await enqueue('running')).id, running.id)
  for (const key of ['parked', 'ready', 'retried', 'scheduled']) {
    const { id } = byKey.get(key)!
    assert.deepEqual(await enqueue(key, 'replace'), { id, duplicate: true, replaced: true })
    assert.notEqual((await store.jobs([id]))[0]?.payload, JSON.stringify(key))
  }
})

test('the view of an older file is the one of today', async (t) => {
  const { store, app } = await migrated(t)
  const insert = app.prepare(`INSERT INTO forgeq_enqueue (type, unique_key) VALUES ('work', ?)`)
  for (const key of ['ready', 'new', 'new']) insert.run(key)
  const [newest, before] = (await store.find({}, null, 2)).jobs
  assert.deepEqual([newest?.unique?.key, before?.payload], ['new', '"plain"'])
})
