// Opening and migrating: what is made, what is refused, and with which words.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { defineJob, ForgeQ, typed } from 'forgeq'
import { api } from 'forgeq/server'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import { ManualClock } from '#src/store/clock.js'
import { openStore } from '#src/store/open.js'
import { ManualTimers } from '#src/testing/manual-timers.js'
import { testDatabase } from './database.ts'
import { newJob } from './jobs.ts'
import { Proxy } from './proxy.ts'
import { Server } from './server.ts'

const database = await testDatabase()
const { url, client } = database

test('a plan makes nothing, and two who migrate at once make it once', async () => {
  const schema = database.schema()
  const stores = [1, 2].map(() => postgres(url, { schema, allowUnsafe: true }))
  const [plan] = await Promise.all(stores.map((store) => store.migrate('plan')))
  assert.equal(plan!.version, 0)
  assert.ok(plan!.steps.length > 0)
  const { rows } = await client.query('SELECT to_regnamespace($1) AS name', [schema])
  assert.equal((rows[0] as { name: unknown }).name, null)
  const applied = await Promise.all(stores.map((store) => store.migrate('apply')))
  assert.equal(
    applied.reduce((sum, { steps }) => sum + steps.length, 0),
    plan!.target,
  )
  await Promise.all(stores.map((store) => store.close()))
})

test('who asks again and again whether it is ready makes no connection for it', async (t) => {
  const proxy = await Proxy.to(url)
  t.after(() => proxy.close())
  const forge = new ForgeQ({ store: postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true }) })
  t.after(() => forge.close())
  const { fetch } = api({ forge })
  const isReady = async (): Promise<void> => {
    const response = await fetch(new Request('http://localhost/readyz'))
    assert.equal(response.status, 200, await response.text())
  }
  await isReady()
  const before = proxy.connections
  for (let i = 0; i < 20; i++) await isReady()
  assert.ok(proxy.connections - before <= 1, `${proxy.connections - before} connections`)
})

test('many who open an empty database at once all find it ready', async () => {
  const schema = database.schema()
  const stores = Array.from({ length: 4 }, () => postgres(url, { schema, allowUnsafe: true }))
  const jobs = stores.map(() => newJob())
  await Promise.all(stores.map((store, i) => store.enqueue([jobs[i]!], { atomic: true })))
  const [queue] = await stores[0]!.queues()
  assert.equal(queue?.counts.ready, 4)
  await Promise.all(stores.map((store) => store.close()))
})

test('who enqueues first has the time that making the schema takes, besides that of the call', async (t) => {
  const schema = database.schema()
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const forge = new ForgeQ({ store: postgres(url, { schema, allowUnsafe: true }), timers })
  t.after(() => forge.close())
  // Another process is at it, on a machine that is busy.
  await client.query('BEGIN')
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('forgeq migration ' || $1, 0))`, [schema])
  const enqueued = forge.enqueue(
    defineJob('work', { input: typed<null>() }, () => {}),
    null,
  )
  const waiting = /* sql */ `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
  while ((await client.query(waiting)).rows.length === 0);
  await timers.advance(9_000)
  await client.query('COMMIT')
  assert.equal((await enqueued).duplicate, false)
})

test('a schema of a newer version is refused', async () => {
  const schema = database.schema()
  const store = postgres(url, { schema, allowUnsafe: true })
  await store.open()
  await store.close()
  await client.query(`INSERT INTO ${schema}.migration (version, name) VALUES (999, 'of the future')`)
  const later = postgres(url, { schema, allowUnsafe: true })
  for (const call of [() => later.open(), () => later.migrate('plan'), () => later.queues()]) {
    await assert.rejects(call, (error) => ForgeError.is(error, 'MIGRATION_NEEDED'))
  }
  await later.close()
})

test('a server without fsync is refused unless told otherwise', async () => {
  const fsync = ((await client.query('SHOW fsync')).rows[0] as { fsync: string }).fsync
  const store = postgres(url, { schema: database.schema(), allowUnsafe: fsync === 'on' })
  if (fsync === 'off') await assert.rejects(store.open(), (error) => ForgeError.is(error, 'STORE_UNSAFE'))
  else assert.equal((await store.open()).durability, 'what is acknowledged survives power loss')
  await store.close()
})

test('what cannot be reached or does not exist is told with what to do', async () => {
  const nowhere = postgres('postgres://postgres@127.0.0.1:1/postgres')
  await assert.rejects(
    nowhere.open(),
    (error) => ForgeError.is(error, 'STORE_UNAVAILABLE') && /URL/.test(error.message),
  )
  await nowhere.close()
  const other = new URL(url)
  other.pathname = '/no_such_database'
  const nothing = postgres(other.href)
  await assert.rejects(
    nothing.open(),
    (error) => ForgeError.is(error, 'STORE_UNAVAILABLE') && /create/.test(error.message),
  )
  await nothing.close()
})

test('a URL names the schema, and what is wrong with it is told before anything is sent', async () => {
  for (const wrong of ['postgres:jobs', `${url}?schema=No`, `${url}?schema=`]) {
    await assert.rejects(openStore(wrong), (error) => ForgeError.is(error, 'CONFIG'))
  }
  const store = await openStore(`${url.replace('postgres:', 'postgresql:')}?schema=${database.schema()}`)
  const { version } = await store.migrate('apply')
  assert.ok(version > 0)
  await store.close()
})

test('a URL without a host names the folder of a Unix socket', async (t) => {
  const server = await Server.make()
  process.on('exit', () => server.kill())
  t.after(() => server.remove())
  const { url: socket, setting } = server.socket
  await server.start([setting])
  const byOption = `${socket.replace('//postgres@/', '///')}&user=postgres`
  for (const [i, at] of [socket, byOption].entries()) {
    const store = await openStore(at)
    await store.enqueue([newJob()], { atomic: true })
    assert.equal((await store.queues())[0]?.counts.ready, i + 1)
    await store.close()
  }
  const elsewhere = await openStore(socket.replace('host=', 'host=/nowhere'))
  await assert.rejects(
    elsewhere.open(),
    (error) => ForgeError.is(error, 'STORE_UNAVAILABLE') && /socket/.test(error.message),
  )
  await elsewhere.close()
})

const noLimits = process.platform !== 'linux' && 'needs prlimit'

test('a process without file descriptors is told so, and goes on once it has some', { skip: noLimits }, async (t) => {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!
  const setLimit = (n: string): unknown => execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${n}:`])
  const taken: number[] = []
  const release = (): void => taken.splice(0).forEach((fd) => closeSync(fd))
  const store = postgres(url, { schema: database.schema(), allowUnsafe: true })
  setLimit('200')
  t.after(() => {
    release()
    setLimit(limit)
  })
  assert.throws(() => {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  }, /EMFILE/)
  await assert.rejects(
    store.open(),
    (error) => ForgeError.is(error, 'STORE_UNAVAILABLE') && /descriptors/.test(error.message),
  )
  release()
  assert.deepEqual(await store.queues(), [])
  await store.close()
})
