import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, typed, type Call } from 'forgeq'
import type { EnqueueHow } from '#src/store/store.js'
import type { NewJob } from '#src/store/records.js'
import { z } from 'zod'
import { bench } from '../worker/bench.ts'

const mail = defineJob('mail', { input: z.object({ to: z.email() }), queue: 'mail' })
const plain = defineJob('plain', { input: typed<number>() })

test('one job, many inputs: stored in order, in chunks that share one policy', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const handles = await forge.enqueueMany(
    plain,
    Array.from({ length: 2_100 }, (_, i) => i),
    { priority: 'low' },
  )
  const chunks = tapped.calls.filter(({ method }) => method === 'enqueue')
  assert.deepEqual(
    chunks.map(({ args }) => [(args[0] as unknown[]).length, (args[1] as EnqueueHow).atomic]),
    [
      [1000, true],
      [1000, true],
      [100, true],
    ],
  )
  const jobs = chunks.flatMap(({ args }) => args[0] as readonly NewJob[])
  assert.equal(new Set(jobs.map(({ policy }) => policy)).size, 1)
  assert.deepEqual(
    jobs.map(({ id, payload }) => [id, payload]),
    handles.map(({ id }, i) => [id, String(i)]),
  )
})

test('calls of several jobs, each with its options', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const handles = await forge.enqueueMany([plain.with(1), mail.with({ to: 'a@b.example' }, { delay: '1h' })])
  const shown = await Promise.all(handles.map(async ({ id }) => forge.admin.job(id)))
  assert.deepEqual(
    shown.map((job) => [job?.type, job?.state, job?.queue]),
    [
      ['plain', 'ready', 'default'],
      ['mail', 'scheduled', 'mail'],
    ],
  )
})

test('every faulty input is named by its place, and nothing is stored', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const good = { to: 'a@b.example' }
  await assert.rejects(forge.enqueueMany(mail, [good, { to: 'x' }, good, { to: 'y' }]), (error: ForgeError) => {
    assert.equal(error.code, 'INVALID_INPUT')
    assert.deepEqual(
      error.problems?.map(({ path }) => path),
      ['[1].to', '[3].to'],
    )
    return true
  })
  await assert.rejects(forge.enqueueMany([plain.with(1), plain.with(Number.NaN)]), (error: ForgeError) => {
    assert.equal(error.code, 'INVALID_JSON')
    assert.equal(error.problems?.[0]?.path, '[1]')
    return true
  })
  await assert.rejects(forge.enqueueMany([plain.with(1, { delay: -1 })]), (error: ForgeError) => {
    assert.equal(error.problems?.[0]?.path, '[0].delay')
    return error.code === 'INVALID_OPTION'
  })
  assert.equal(tapped.count('enqueue'), 0)
})

test('what the store refuses is named too, and the whole chunk is not stored', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1)
  await assert.rejects(forge.enqueueMany([plain.with(5), plain.with(6, { id })]), (error: ForgeError) => {
    assert.deepEqual([error.code, error.id, error.problems?.[0]?.path], ['ID_CONFLICT', id, '[1]'])
    return true
  })
  assert.equal((await forge.admin.jobs()).jobs.length, 1)
})

test('a unique key that another job holds is named with its holder, or does no harm', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1, { unique: 'k' })
  const calls = (onConflict: 'error' | 'replace'): readonly Call[] => [
    plain.with(5),
    plain.with(6, { unique: { key: 'k', onConflict } }),
  ]
  await assert.rejects(forge.enqueueMany(calls('error')), (error: ForgeError) => {
    assert.deepEqual([error.code, error.holder, error.problems?.[0]?.path], ['UNIQUE_CONFLICT', id, '[1]'])
    return true
  })
  assert.equal((await forge.admin.jobs()).jobs.length, 1)
  const [first, second] = await forge.enqueueMany(calls('replace'))
  assert.deepEqual([first?.replaced, second?.id, second?.replaced], [false, id, true])
})

test('a later chunk that fails: the error says how many are stored', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  let chunk = 0
  tapped.tap('enqueue', (next) => {
    chunk += 1
    return chunk < 3 ? next() : Promise.reject(new ForgeError('STORE_CLOSED', 'closed'))
  })
  const numbers = Array.from({ length: 2_500 }, (_, i) => i)
  await assert.rejects(forge.enqueueMany(plain, numbers), /closed \(2000 of the 2500 jobs are stored\)/)
})

test('one id cannot be given to many jobs', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1)
  await assert.rejects(forge.enqueueMany(plain, [1, 2], { id }), { code: 'INVALID_OPTION' })
})

test('none: nothing is sent', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  assert.deepEqual(await forge.enqueueMany([]), [])
  assert.deepEqual(await forge.enqueueMany(plain, []), [])
  assert.equal(tapped.count('enqueue'), 0)
})
