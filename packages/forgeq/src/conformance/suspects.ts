// Suspects: a job that was running in a crash is handed out alone, or with its like only, to those who cannot keep all their
// jobs apart, so that the innocent pass and the poison takes nobody along.
import assert from 'node:assert/strict'
import type { ExchangeReply } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, release, retry, snooze } from './endings.ts'
import type { JobOptions, Scene } from './scene.ts'
import type { ExchangePart, ScriptedWorker } from './scripted-worker.ts'

const wants = [{ queue: 'default', slots: 10 }]
const alone = { wants, suspects: 'alone' } as const
const apart = { wants, suspects: 'apart' } as const
const skip = { wants, suspects: 'skip' } as const

/** Jobs whose worker dies while it runs them; they come back in the order of `options`. */
async function addSuspects(s: Scene, ...options: readonly JobOptions[]): Promise<readonly string[]> {
  const ids: string[] = []
  for (const option of options) ids.push(await s.add(option))
  const victim = await s.worker({ types: ['work', 'strange'] })
  for (const queue of new Set(options.map((option) => option.queue ?? 'default'))) {
    await victim.claim(options.filter((option) => (option.queue ?? 'default') === queue).length, queue)
  }
  assert.deepEqual(new Set((await victim.vanish()).map(({ job }) => job)), new Set(ids))
  await s.store.settle(ids.map((job) => ({ ...crash({ job, claim: 1 }), worker: victim.id })))
  return ids
}

const idsOf = ({ claimed }: Pick<ExchangeReply, 'claimed'>): readonly string[] => claimed.map(({ job }) => job)

/** What the exchange brings, and whether it left suspects. */
async function ask(worker: ScriptedWorker, part: ExchangePart): Promise<readonly [readonly string[], boolean]> {
  const reply = await worker.exchange(part)
  return [idsOf(reply), reply.suspects]
}

export const suspectsCases: readonly Case[] = area('suspects', {
  'who takes suspects together gets them as any other job': async (s) => {
    const [suspect] = await addSuspects(s, {})
    const others = await s.addMany(2)
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, { wants, suspects: 'together' }), [[suspect, ...others], false])
    await worker.settle(...(await s.store.jobs([suspect!])).map(({ id, claim }) => release({ job: id, claim })))
    assert.deepEqual(await ask(worker, { wants }), [[suspect], false])
  },

  'alone brings the first suspect and nothing else': async (s) => {
    const [first, second] = await addSuspects(s, {}, {})
    const [urgent] = await s.addMany(3, { priority: 0 })
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, alone), [[first], true])
    assert.equal((await s.job(urgent!)).state, 'ready')
    const other = await s.worker()
    assert.deepEqual(await ask(other, alone), [[second], false])
  },

  'alone, suspects have the order of jobs': async (s) => {
    const ids = await addSuspects(s, { priority: 7 }, { priority: 2 }, { priority: 5 }, { priority: 2 })
    await s.addMany(3)
    const worker = await s.worker()
    const seen: string[] = []
    let settlements: ExchangePart['settlements'] = []
    for (const _ of ids) {
      const reply = await worker.exchange({ ...alone, settlements })
      seen.push(...idsOf(reply))
      settlements = reply.claimed.map((claimed) => complete(claimed))
    }
    assert.deepEqual(seen, [ids[1], ids[3], ids[2], ids[0]])
  },

  'alone, queues are asked in the order of the wants': async (s) => {
    const [inA, inB] = await addSuspects(s, { queue: 'a', priority: 0 }, { queue: 'b', priority: 9 })
    await s.addMany(2, { queue: 'b', priority: 0 })
    const worker = await s.worker()
    const both = [
      { queue: 'none', slots: 5 },
      { queue: 'b', slots: 5 },
      { queue: 'a', slots: 5 },
    ]
    const reply = await worker.exchange({ wants: both, suspects: 'alone' })
    assert.deepEqual(idsOf(reply), [inB])
    const next = await worker.exchange({
      wants: both,
      suspects: 'alone',
      settlements: reply.claimed.map((c) => complete(c)),
    })
    assert.deepEqual(idsOf(next), [inA])
  },

  'alone brings others when there is no suspect': async (s) => {
    const others = await s.addMany(3)
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, alone), [others, false])
  },

  'alone, a worker that holds something gets no suspect': async (s) => {
    const [held, ...others] = await s.addMany(3)
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.equal(claimed.job, held)
    const [suspect] = await addSuspects(s, { priority: 0 })
    assert.deepEqual(await ask(worker, alone), [others, true])
    const settlements = [claimed, ...(await s.store.jobs(others)).map(({ id, claim }) => ({ job: id, claim }))].map(
      (hold) => complete(hold),
    )
    assert.deepEqual(await ask(worker, { ...alone, settlements: settlements.slice(0, 2) }), [[], true])
    // What ends in the exchange is no longer held.
    assert.deepEqual(await ask(worker, { ...alone, settlements: settlements.slice(2) }), [[suspect], false])
  },

  'a worker that holds a suspect gets nothing until that ended': async (s) => {
    await addSuspects(s, {}, {})
    const others = await s.addMany(2)
    const worker = await s.worker()
    const first = await worker.exchange(alone)
    for (const part of [alone, skip]) assert.deepEqual(await ask(worker, part), [[], true])
    const second = await worker.exchange({ ...alone, settlements: first.claimed.map((claimed) => release(claimed)) })
    assert.equal(second.claimed.length, 1)
    const rest = await worker.exchange({ ...skip, settlements: second.claimed.map((claimed) => complete(claimed)) })
    assert.deepEqual(idsOf(rest), others)
  },

  'a worker that holds a suspect takes more where that can do no harm': async (s) => {
    await addSuspects(s, {})
    const other = await s.add()
    const worker = await s.worker()
    await worker.exchange(alone)
    assert.deepEqual(await ask(worker, { wants, suspects: 'together' }), [[other], false])
  },

  'apart brings suspects, as many as there are slots, and nothing else': async (s) => {
    const [first, second, third] = await addSuspects(s, {}, {}, {})
    const [urgent] = await s.addMany(3, { priority: 0 })
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, { ...apart, slots: 2 }), [[first, second], true])
    const other = await s.worker()
    assert.deepEqual(await ask(other, apart), [[third], false])
    const counts = (await s.queue()).counts
    assert.deepEqual([counts.ready, counts.running, (await s.job(urgent!)).state], [3, 3, 'ready'])
  },

  'apart brings no more suspects than it has slots for them': async (s) => {
    const suspects = await addSuspects(s, {}, {}, {}, {})
    const others = await s.addMany(2)
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, { ...apart, suspectSlots: 2 }), [suspects.slice(0, 2), true])
    assert.deepEqual(await ask(worker, { ...apart, suspectSlots: 0 }), [[], true])
    assert.deepEqual(await ask(worker, { ...apart, suspectSlots: 5, slots: 1 }), [suspects.slice(2, 3), true])
    const other = await s.worker()
    assert.deepEqual(await ask(other, { ...apart, suspectSlots: 1 }), [suspects.slice(3), false])
    const third = await s.worker()
    assert.deepEqual(await ask(third, { ...apart, suspectSlots: 1 }), [others, false])
  },

  'apart, suspects have the order of wants, levels and returns': async (s) => {
    const ids = await addSuspects(
      s,
      { priority: 7 },
      { priority: 2 },
      { queue: 'b', priority: 9 },
      { priority: 5 },
      { priority: 2 },
    )
    for (const queue of ['b', 'c', 'default']) await s.addMany(2, { queue })
    const worker = await s.worker()
    const all = [{ queue: 'c', slots: 5 }, { queue: 'b', slots: 5 }, ...wants]
    const reply = await worker.exchange({ wants: all, suspects: 'apart' })
    assert.deepEqual(idsOf(reply), [ids[2], ids[1], ids[4], ids[3], ids[0]])
  },

  'apart takes suspects out of the midst of others, which stay in order': async (s) => {
    const ids = await s.addMany(12)
    const victim = await s.worker()
    await victim.settle(...(await victim.claim(12)).map((one, i) => (i % 3 === 1 ? crash(one) : release(one))))
    const worker = await s.worker()
    const suspects = ids.filter((_, i) => i % 3 === 1)
    assert.deepEqual(await ask(worker, { ...apart, slots: 3 }), [suspects.slice(0, 3), true])
    assert.deepEqual(await ask(worker, apart), [suspects.slice(3), false])
    const other = await s.worker()
    assert.deepEqual(await ask(other, { ...skip, slots: 12 }), [ids.filter((_, i) => i % 3 !== 1), false])
  },

  'apart, a worker that holds suspects gets more of them, and no others': async (s) => {
    const [first] = await addSuspects(s, {})
    const others = await s.addMany(2)
    const worker = await s.worker()
    const { claimed } = await worker.exchange(apart)
    assert.deepEqual(idsOf({ claimed }), [first])
    assert.deepEqual(await ask(worker, apart), [[], false])
    // These are from a worker that takes what comes first.
    const more = await addSuspects(s, { priority: 0 }, { priority: 0 })
    assert.deepEqual(await ask(worker, alone), [[], true])
    assert.deepEqual(await ask(worker, { ...apart, slots: 1 }), [more.slice(0, 1), true])
    const settlements = [
      { job: first!, claim: 2 },
      { job: more[0]!, claim: 2 },
    ].map((hold) => complete(hold))
    assert.deepEqual(await ask(worker, { ...apart, settlements: settlements.slice(0, 1) }), [more.slice(1), false])
    assert.deepEqual(await ask(worker, { ...apart, settlements: settlements.slice(1) }), [[], false])
    assert.deepEqual(await ask(worker, { ...apart, settlements: [complete({ job: more[1]!, claim: 2 })] }), [
      others,
      false,
    ])
  },

  'apart brings others when there is no suspect, and no suspect to those who hold others': async (s) => {
    const others = await s.addMany(2)
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, apart), [others, false])
    const [suspect] = await addSuspects(s, { priority: 0 })
    const next = await s.add()
    assert.deepEqual(await ask(worker, apart), [[next], true])
    assert.deepEqual(await ask(worker, { ...apart, settlements: [complete({ job: next, claim: 1 })] }), [[], true])
    const settlements = others.map((job) => complete({ job, claim: 1 }))
    assert.deepEqual(await ask(worker, { ...apart, settlements }), [[suspect], false])
  },

  'apart, a worker that holds suspects and others gets nothing': async (s) => {
    await addSuspects(s, {})
    await s.add()
    const worker = await s.worker()
    assert.equal((await worker.exchange({ wants, suspects: 'together' })).claimed.length, 2)
    await addSuspects(s, { priority: 0 })
    await s.add()
    assert.deepEqual(await ask(worker, apart), [[], true])
  },

  'skip leaves suspects where they are and brings what is behind them': async (s) => {
    const suspects = await addSuspects(s, { priority: 2 }, { priority: 5 }, { priority: 5 })
    const others = [...(await s.addMany(2, { priority: 2 })), ...(await s.addMany(3, { priority: 5 }))]
    const worker = await s.worker()
    assert.deepEqual(await ask(worker, { ...skip, slots: 3 }), [others.slice(0, 3), true])
    assert.deepEqual(await ask(worker, skip), [others.slice(3), true])
    assert.deepEqual(await ask(worker, skip), [[], true])
    const counts = (await s.queue()).counts
    assert.deepEqual([counts.ready, counts.running], [3, 5])
    const bold = await s.worker()
    assert.deepEqual(await ask(bold, { wants }), [suspects, false])
  },

  'skip finds what is between suspects, in order': async (s) => {
    const ids = await s.addMany(30)
    const victim = await s.worker()
    const claimed = await victim.claim(30)
    // Every third one crashed; the others came back at the same time.
    await victim.settle(...claimed.map((one, i) => (i % 3 === 0 ? crash(one) : release(one))))
    const worker = await s.worker()
    const seen: string[] = []
    for (let i = 0; i < 5; i++) seen.push(...(await ask(worker, { ...skip, slots: 4 }))[0])
    assert.deepEqual(
      seen,
      ids.filter((_, i) => i % 3 !== 0),
    )
    const bold = await s.worker()
    assert.deepEqual(
      idsOf(await bold.exchange({ wants: [{ queue: 'default', slots: 30 }] })),
      ids.filter((_, i) => i % 3 === 0),
    )
  },

  'without slots it only says whether there are suspects': async (s) => {
    const worker = await s.worker()
    for (const suspects of ['apart', 'alone', 'skip'] as const) {
      assert.deepEqual(await ask(worker, { wants, suspects, slots: 0 }), [[], false])
    }
    await addSuspects(s, {})
    for (const suspects of ['apart', 'alone', 'skip'] as const) {
      assert.deepEqual(await ask(worker, { wants, suspects, slots: 0 }), [[], true])
    }
    assert.deepEqual(await ask(worker, { wants: [], suspects: 'skip' }), [[], false])
  },

  'suspects of paused queues and of unknown types are nobody to wait for': async (s) => {
    await addSuspects(s, { queue: 'paused' }, { type: 'strange' })
    const id = await s.add()
    await s.store.setQueue('paused', { paused: true })
    const worker = await s.worker()
    const both = [{ queue: 'paused', slots: 5 }, ...wants]
    assert.deepEqual(await ask(worker, { wants: both, suspects: 'skip', slots: 0 }), [[], false])
    assert.deepEqual(await ask(worker, { wants: both, suspects: 'alone' }), [[id], false])
    await s.store.setQueue('paused', { paused: false })
    assert.deepEqual(await ask(worker, { wants: both, suspects: 'skip' }), [[], true])
  },

  'a suspect that was stepped over is one for those who know its type': async (s) => {
    const [strange] = await addSuspects(s, { type: 'strange' })
    const plain = await s.worker()
    await plain.exchange({ wants })
    const others = await s.addMany(2)
    const expert = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual(await ask(expert, { ...skip, slots: 1 }), [[others[0]], true])
    const other = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual(await ask(other, alone), [[strange], false])
    assert.deepEqual(await ask(expert, skip), [[others[1]], false])
  },

  'a suspect stays one until it is retried by hand': async (s) => {
    const [id] = await addSuspects(s, { maxAttempts: 9 })
    const worker = await s.worker()
    for (const ending of [release, retry, snooze, crash, release]) {
      const { claimed, suspects } = await worker.exchange(alone)
      const other = await s.add()
      assert.deepEqual([claimed.map(({ job }) => job), suspects], [[id], false])
      await worker.settle(ending(claimed[0]!))
      await s.act('cancel', other)
    }
    assert.equal((await s.job(id!)).crashes, 2)
    await s.act('cancel', id!)
    await s.act('retry', id!)
    const other = await s.add()
    assert.deepEqual(await ask(worker, alone), [[id, other], false])
  },

  'the last turn again gives the same suspects': async (s) => {
    const [first, ...more] = await addSuspects(s, {}, {}, {})
    await s.add()
    for (const [part, ids] of [
      [alone, [first]],
      [apart, more],
    ] as const) {
      const worker = await s.worker()
      const request = worker.request(part)
      const reply = await worker.send(request)
      assert.deepEqual(idsOf(reply), ids)
      assert.deepEqual(await worker.send(request), reply)
    }
  },

  'an exchange that waits brings a suspect that comes back': async (s) => {
    const victim = await s.worker()
    const id = await s.add()
    await victim.claimOne()
    const worker = await s.worker()
    const waiting = worker.exchange({ ...alone, waits: true })
    await victim.vanish()
    await s.rescue()
    const [claimed] = [...(await waiting).claimed, ...(await worker.exchange(alone)).claimed]
    assert.deepEqual([claimed?.job, claimed?.crashes], [id, 1])
  },

  'an exchange that waits and skips brings the next one that is no suspect': async (s) => {
    await addSuspects(s, {})
    const worker = await s.worker()
    const waiting = worker.exchange({ ...skip, waits: true })
    const id = await s.add()
    const claimed = [...(await waiting).claimed, ...(await worker.exchange(skip)).claimed]
    assert.deepEqual(
      claimed.map(({ job }) => job),
      [id],
    )
  },
})
