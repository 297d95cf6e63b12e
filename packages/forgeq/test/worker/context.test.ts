import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { z } from 'zod'

const next = defineJob('next', { input: z.object({ n: z.number() }), queue: 'other' })

test('job: id, attempt and the instant of the enqueue', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const tell = defineJob('tell', { input: typed<void>() }, ({ job }) => ({ ...job }))
  const { id } = await forge.enqueue(tell)
  await forge.drain([tell])
  assert.deepEqual((await forge.admin.job(id))?.result, {
    id,
    attempt: 1,
    claim: 1,
    enqueuedAt: '2026-01-01T00:00:00.000Z',
  })
})

test('log and progress are kept with the job, also when it ends in the same turn', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const lines: string[] = []
  forge.on('job:log', ({ level, message }) => lines.push(`${level} ${message}`))
  const talk = defineJob('talk', { input: typed<void>() }, ({ log, progress }) => {
    log.info('sent %d of', 1, { all: 2 })
    log.error(new Error('odd').message)
    progress(1, 4)
    progress(3, 4, 'almost')
  })
  const { id } = await forge.enqueue(talk)
  await forge.drain([talk])
  const job = await forge.admin.job(id, ['logs'])
  assert.deepEqual(
    job?.logs?.map(({ level, message, claim }) => [level, message, claim]),
    [
      ['info', 'sent 1 of { all: 2 }', 1],
      ['error', 'odd', 1],
    ],
  )
  assert.deepEqual(job?.progress, { done: 3, total: 4, label: 'almost' })
  assert.deepEqual(lines, ['info sent 1 of { all: 2 }', 'error odd'])
})

test('log is bounded: a job that never stops talking keeps its first lines', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const chatter = defineJob('chatter', { input: typed<void>() }, ({ log }) => {
    for (let i = 0; i < 3_000; i += 1) log.debug(`line ${i}`)
  })
  const { id } = await forge.enqueue(chatter)
  await forge.drain([chatter])
  const logs = (await forge.admin.job(id, ['logs']))?.logs ?? []
  assert.equal(logs.length, 1_000)
  assert.equal(logs.at(-1)?.message, 'line 999')
})

test('progress that is no number from 0, or has a label that is no text, fails the try and says so', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const odd = (name: string, args: readonly unknown[], message: RegExp): Promise<void> => {
    const job = defineJob(name, { input: typed<void>() }, ({ progress }) =>
      progress(...(args as Parameters<typeof progress>)),
    )
    return assert.rejects(forge.run(job, undefined), { code: 'INVALID_OPTION', message })
  }
  await odd('none', [Number.NaN], /done must be a number from 0, not NaN/)
  await odd('negative', [-1], /done must be a number from 0, not -1/)
  await odd('endless', [1, Infinity], /total must be a number from 0, not Infinity/)
  await odd('unnamed', [1, 2, 3], /label must be a text, not of type number/)
})

test('enqueue: gives the id at once, stores the job with the completion', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const start = defineJob('start', { input: typed<void>() }, ({ enqueue }) => {
    const id = enqueue(next, { n: 1 }, { delay: '1m', tags: ['made'] })
    assert.deepEqual(forge.enqueued(next), [])
    return id
  })
  const { id } = await forge.enqueue(start)
  await forge.drain([start])
  const made = forge.enqueued(next)
  assert.deepEqual(
    made.map(({ input, runAt }) => [input, runAt.toISOString()]),
    [[{ n: 1 }, '2026-01-01T00:01:00.000Z']],
  )
  assert.equal((await forge.admin.job(id))?.result, made[0]?.id)
})

test('enqueue: with a unique key that another job holds, nothing is stored and the id stays unknown', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const holder = await forge.enqueue(next, { n: 1 }, { unique: 'one', delay: '1h' })
  const start = defineJob('start', { input: typed<void>() }, ({ enqueue }) =>
    enqueue(next, { n: 2 }, { unique: 'one' }),
  )
  const started = await forge.enqueue(start)
  assert.equal((await forge.drain([start])).completed, 1)
  assert.deepEqual(
    forge.enqueued(next).map(({ id }) => id),
    [holder.id],
  )
  await assert.rejects(forge.handle(next, await started.result()).result(), { code: 'NOT_FOUND' })
})

test('enqueue: a unique key that is held fails the try where it is to be an error', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const holder = await forge.enqueue(next, { n: 1 }, { unique: 'one', delay: '1h' })
  const start = defineJob('start', { input: typed<void>(), retries: 0 }, ({ enqueue }) => {
    enqueue(next, { n: 2 })
    enqueue(next, { n: 3 }, { unique: { key: 'one', onConflict: 'error' } })
  })
  const { id } = await forge.enqueue(start)
  assert.equal((await forge.drain([start])).dead, 1)
  assert.equal((await forge.admin.job(id))?.error?.code, 'UNIQUE_CONFLICT')
  assert.deepEqual(
    forge.enqueued(next).map(({ id: stored }) => stored),
    [holder.id],
  )
})

test('enqueue: a job that waits does the work of the follow-up that replaces it', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const holder = await forge.enqueue(next, { n: 1 }, { unique: 'one', delay: '1h' })
  const start = defineJob('start', { input: typed<void>() }, ({ enqueue }) => {
    enqueue(next, { n: 2 }, { unique: { key: 'one', onConflict: 'replace' }, delay: '1m' })
  })
  await forge.enqueue(start)
  await forge.drain([start])
  assert.deepEqual(
    forge.enqueued(next).map(({ id, input }) => [id, input]),
    [[holder.id, { n: 2 }]],
  )
})

test('enqueue: nothing is stored when the try fails', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const start = defineJob('start', { input: typed<void>(), retries: 0 }, ({ enqueue }) => {
    enqueue(next, { n: 1 })
    throw new Error('changed my mind')
  })
  await forge.enqueue(start)
  assert.equal((await forge.drain([start])).dead, 1)
  assert.deepEqual(forge.enqueued(next), [])
})

test('enqueue: an asynchronous schema is asked before the job completes', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const late = defineJob('late', { input: z.number().refine(async (n) => Promise.resolve(n > 0), 'must be positive') })
  const start = defineJob('start', { input: typed<number>(), retries: 0 }, ({ input, enqueue }) => {
    enqueue(late, input)
  })
  await forge.enqueue(start, 1)
  const bad = await forge.enqueue(start, -1)
  assert.deepEqual(await forge.drain([start]), { completed: 1, failed: 0, dead: 1 })
  assert.deepEqual(
    forge.enqueued(late).map(({ input }) => input),
    [1],
  )
  assert.equal((await forge.admin.job(bad.id))?.error?.code, 'INVALID_INPUT')
})

test('enqueue: an id that another job has fails this job, not the worker', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const taken = await forge.enqueue(next, { n: 1 })
  const start = defineJob('start', { input: typed<void>(), retries: 0 }, ({ enqueue }) => {
    enqueue(next, { n: 2 }, { id: taken.id })
  })
  const good = defineJob('good', { input: typed<void>() }, () => 1)
  const { id } = await forge.enqueue(start)
  await forge.enqueue(good)
  assert.deepEqual(await forge.drain([start, good]), { completed: 1, failed: 0, dead: 1 })
  assert.equal((await forge.admin.job(id))?.reason, 'exhausted')
})

test('a line has no NUL, which not every store could keep', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const odd = defineJob('odd', { input: typed<string>() }, ({ input, log }) => log.info('got %s', input))
  const { id } = await forge.enqueue(odd, 'a\0b')
  assert.equal((await forge.drain([odd])).completed, 1)
  assert.equal((await forge.admin.job(id, ['logs']))?.logs?.[0]?.message, 'got a\uFFFDb')
})

test('a huge line is cut, and leaves room for others', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const loud = defineJob('loud', { input: typed<void>() }, ({ log }) => {
    log.info('x'.repeat(5_000_000))
    log.info('still here')
  })
  const told: number[] = []
  forge.on('job:log', ({ message }) => told.push(message.length))
  const { id } = await forge.enqueue(loud)
  await forge.drain([loud])
  const logs = (await forge.admin.job(id, ['logs']))?.logs
  assert.deepEqual(
    logs?.map(({ message }) => message.length),
    [16_384, 10],
  )
  assert.deepEqual(told, [16_384, 10])
})
