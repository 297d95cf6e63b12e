import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { judgeFileSystem } from '#src/sqlite/checks.js'
import { openStore as openUrl } from '#src/store/open.js'
import { receiveError, sendError } from '#src/sqlite/wire.js'
import { foreignConnection, hinted, openStore, someJob, someWorker, temporaryFile } from './files.ts'

test('makes the file and its folder at first use', async (t) => {
  const path = join(dirname(temporaryFile(t)), 'deep', 'er', 'jobs.db')
  const store = openStore(t, path)
  assert.equal(existsSync(path), false)
  const info = await store.open()
  assert.ok(existsSync(path))
  assert.equal(info.kind, 'sqlite')
  assert.match(info.durability, /power loss \(synchronous=FULL\)/)
})

test('escapes in the path of a URL are read, and a % that escapes nothing is meant as it is', async (t) => {
  const folder = dirname(temporaryFile(t))
  for (const [written, file] of [
    ['a%20b.db', 'a b.db'],
    ['100%.db', '100%.db'],
    ['%zz.db', '%zz.db'],
  ] as const) {
    const store = await openUrl(`sqlite:${folder}/${written}`)
    t.after(() => store.close())
    await store.open()
    assert.ok(existsSync(join(folder, file)), file)
  }
})

test('an error that is not ours keeps its message and its stack on the way from the other thread', () => {
  const thrown = new TypeError('x is not a function')
  const received = receiveError(structuredClone(sendError(thrown)))
  assert.ok(received.cause instanceof Error)
  assert.deepEqual(
    [received.code, received.cause.message, received.cause.stack],
    ['INTERNAL', thrown.message, thrown.stack],
  )
})

test('relaxed durability is said', async (t) => {
  const info = await openStore(t, temporaryFile(t), { durability: 'relaxed' }).open()
  assert.match(info.problems.join(), /power loss may take back/)
})

test('what is stored is there for the next one who opens the file', async (t) => {
  const path = temporaryFile(t)
  const job = someJob()
  const first = openStore(t, path)
  await first.enqueue([job], { atomic: true })
  await first.close()
  const [again] = await openStore(t, path).jobs([job.id])
  assert.equal(again?.payload, job.payload)
})

test('a closed store refuses calls', async (t) => {
  const store = openStore(t, temporaryFile(t))
  await store.open()
  await store.close()
  await assert.rejects(store.queues(), { code: 'STORE_CLOSED' })
})

test('lives beside the tables of an application', async (t) => {
  const path = temporaryFile(t)
  const app = foreignConnection(t, path)
  app.exec('CREATE TABLE job (mine TEXT); PRAGMA user_version = 7')
  await openStore(t, path).enqueue([someJob()], { atomic: true })
  assert.equal((app.prepare('PRAGMA user_version').get() as { user_version: number }).user_version, 7)
})

test('refuses the schema of a newer version', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  foreignConnection(t, path).exec("INSERT INTO forgeq_migration VALUES (99, '099 later', 0)")
  await assert.rejects(openStore(t, path).open(), { code: 'MIGRATION_NEEDED', message: /upgrade forgeq/ })
})

test('a folder that cannot be made is named', { skip: process.platform !== 'linux' && 'needs /proc' }, async (t) => {
  await assert.rejects(openStore(t, '/proc/nobody/jobs.db').open(), {
    code: 'STORE_UNAVAILABLE',
    message: /folder \/proc\/nobody .*cannot be made/,
  })
})

test('a file that is no database is named as such', async (t) => {
  const path = temporaryFile(t)
  writeFileSync(path, 'this is not a database, it is a letter to a friend. '.repeat(50))
  await assert.rejects(openStore(t, path).open(), { code: 'STORE_UNAVAILABLE', message: /not an SQLite database/ })
  assert.match(readFileSync(path, 'utf8'), /letter/)
})

for (const [url, problem] of [
  ['jobs.db', /no scheme/],
  ['mysql://host/db', /scheme mysql is not known/],
  ['sqlite:', /names no file/],
  ['sqlite:a.db?mode=ro', /option mode is not known/],
  ['sqlite:a.db?durability=maybe', /must be full or relaxed/],
] as const) {
  test(`the URL ${url} is refused`, async () => {
    await assert.rejects(openUrl(url), { code: 'CONFIG', message: problem })
  })
}

test('network file systems are refused, doubtful ones are named', () => {
  assert.match(
    judgeFileSystem('/mnt/x', 0x6969).refused ?? '',
    /\/mnt\/x is on a network file system \(NFS\).*local disk/,
  )
  assert.match(judgeFileSystem('/mnt/x', 0xff534d42).refused ?? '', /CIFS/)
  assert.match(judgeFileSystem('/mnt/x', 0x65735546).warning ?? '', /FUSE/)
  assert.match(judgeFileSystem('/dev/shm', 0x01021994).warning ?? '', /reboot takes all jobs away/)
  assert.deepEqual(judgeFileSystem('/data', 0xef53), {})
})

test('a plan makes no file and is in no way of what comes', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  assert.equal((await store.migrate('plan')).version, 0)
  assert.equal(existsSync(path), false)
  await store.enqueue([someJob()], { atomic: true })
})

test('a file that is removed while in use is noticed before anything is acknowledged into it', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.enqueue([someJob()], { atomic: true })
  for (const ending of ['', '-wal', '-shm']) rmSync(`${path}${ending}`)
  await assert.rejects(store.enqueue([someJob()], { atomic: true }), {
    code: 'STORE_UNAVAILABLE',
    message: /removed or replaced/,
  })
  const job = someJob()
  await store.enqueue([job], { atomic: true })
  assert.equal((await openStore(t, path).jobs([job.id])).length, 1)
})

test('a worker is kept alive by the thread that is started anew', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  const worker = someWorker({ keepAlive: true, leaseMs: 30 })
  await store.register(worker)
  for (const ending of ['', '-wal', '-shm']) rmSync(`${path}${ending}`)
  await assert.rejects(store.queues(), { code: 'STORE_UNAVAILABLE' })
  // The new file does not know the worker: the first beat for it hears that.
  const told = hinted(store, `orders:${worker.id}`)
  await store.open()
  await told
})

test('a store whose file was migrated meanwhile writes nothing more', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.enqueue([someJob()], { atomic: true })
  foreignConnection(t, path).exec("INSERT INTO forgeq_migration VALUES (99, '099 later', 0)")
  await assert.rejects(store.enqueue([someJob()], { atomic: true }), { code: 'MIGRATION_NEEDED' })
  assert.equal((await store.find({}, null, 10)).jobs.length, 1)
})
