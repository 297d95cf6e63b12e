// A server that takes connections and says nothing, and one that stops talking in the middle: nobody waits for ever, and what
// is told is true.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { defineJob, ForgeError, ForgeQ, typed } from 'forgeq'
import { postgres } from '#src/postgres/index.js'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'
import { Proxy } from './proxy.ts'

const database = await testDatabase()
const { url, client } = database
const job = defineJob('work', { input: typed<number>() })

/** It takes a transaction. */
const later = { delay: '1m' } as const

/** A store whose way can be cut, and one that always gets there. */
const twoWays = async (): Promise<{
  readonly proxy: Proxy
  readonly store: ReturnType<typeof postgres>
  readonly direct: ReturnType<typeof postgres>
  readonly schema: string
}> => {
  const proxy = await Proxy.to(url)
  after(() => proxy.close())
  const schema = database.schema()
  const options = { schema, allowUnsafe: true }
  return { proxy, schema, store: postgres(proxy.urlOf(url), options), direct: postgres(url, options) }
}

const timed = async <T>(call: Promise<T>): Promise<{ readonly error: unknown; readonly ms: number }> => {
  const startedAt = performance.now()
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { error, ms: performance.now() - startedAt }
}

test('an enqueue to a server that never says anything fails at its deadline', async () => {
  const { proxy, store, direct } = await twoWays()
  proxy.drop('both')
  const forge = new ForgeQ({ store })
  const { error, ms } = await timed(forge.enqueue(job, 1))
  assert.ok(ForgeError.is(error, 'STORE_UNAVAILABLE'), String(error))
  assert.ok(ms > 1_500 && ms < 2_500, `${ms} ms`)
  proxy.heal()
  assert.equal((await forge.enqueue(job, 1)).duplicate, false)
  await forge.close()
  await direct.close()
})

test('one that goes silent before the commit has stored nothing, and after it the outcome is not known', async () => {
  const { proxy, store, direct } = await twoWays()
  const forge = new ForgeQ({ store })
  await forge.enqueue(job, 0)
  // Nothing arrives there, so nothing is stored.
  proxy.drop('there')
  const lost = await timed(forge.enqueue(job, 1, later))
  assert.ok(ForgeError.is(lost.error, 'STORE_UNAVAILABLE'), String(lost.error))
  assert.ok(lost.ms < 3_000, `${lost.ms} ms`)
  const { id } = lost.error
  assert.deepEqual(await direct.jobs([id!]), [])
  proxy.heal()
  await forge.enqueue(job, 2)
  // It gets as far as what commits it, whose answer does not come.
  for (const [last, options] of [
    ['COMMIT', later],
    ['_put', {}],
  ] as const) {
    proxy.muteAfter(last)
    const unknown = await timed(forge.enqueue(job, 3, options))
    assert.ok(ForgeError.is(unknown.error, 'OUTCOME_UNKNOWN'), String(unknown.error))
    assert.ok(unknown.ms < 3_000, `${unknown.ms} ms`)
    const id = unknown.error.id!
    assert.equal((await direct.jobs([id])).length, 1)
    proxy.heal()
    const again = await forge.enqueue(job, 3, { ...options, id })
    assert.deepEqual([again.id, again.duplicate], [id, true])
    proxy.heal()
  }
  await forge.close()
  await direct.close()
})

test('connections that are gone without a word are replaced when the server can be reached anew', async () => {
  const { proxy, store, direct } = await twoWays()
  const forge = new ForgeQ({ store })
  await Promise.all([1, 2, 3].map((n) => forge.enqueue(job, n)))
  proxy.drop('both')
  const lost = await timed(forge.enqueue(job, 4))
  assert.ok(ForgeError.is(lost.error), String(lost.error))
  proxy.replace()
  const { error, ms } = await timed(forge.enqueue(job, 4))
  assert.equal(error, undefined)
  assert.ok(ms < 2_500, `${ms} ms`)
  await forge.close()
  await direct.close()
})

test('a beat to a silent server fails before the next one is due', async () => {
  const { proxy, store } = await twoWays()
  await store.register(registration('w'))
  proxy.drop('back')
  const { error, ms } = await timed(store.beat('w', null, []))
  assert.ok(ForgeError.is(error), String(error))
  assert.ok(ms < 6_000, `${ms} ms`)
  proxy.replace()
  assert.equal((await store.beat('w', null, [])).closed, false)
  const closing = await timed(store.close())
  assert.ok(closing.ms < 10_000, `${closing.ms} ms`)
})

test('a listener that hears nothing any more notices it, listens anew and looks at once', async () => {
  const { proxy, store, direct, schema } = await twoWays()
  await store.open()
  let hints = 0
  let heard: () => void = () => undefined
  const next = (): Promise<void> => new Promise((resolve) => (heard = resolve))
  const first = next()
  store.listen(['ready:default'], () => {
    hints += 1
    heard()
  })
  // Whoever begins to listen may have missed something, so it is told to look.
  await first
  const silentAt = performance.now()
  const again = next()
  proxy.drop('back')
  await direct.enqueue([newJob()], { atomic: true })
  setTimeout(() => proxy.replace(), 1_000)
  await again
  const ms = performance.now() - silentAt
  assert.ok(ms < 20_500, `${ms} ms`)
  // The session that nobody hears is still there, and the new one is heard.
  const third = next()
  await direct.enqueue([newJob()], { atomic: true })
  await third
  assert.ok(hints >= 3)
  // One that the server ends is replaced within a second or so.
  const ended = next()
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 OR query LIKE 'SELECT 1 FROM pg_listening%'`,
    [`LISTEN%${schema}%`],
  )
  const endedAt = performance.now()
  await ended
  assert.ok(performance.now() - endedAt < 2_500)
  await store.close()
  await direct.close()
})
