// A producer: carries out its operations in time. Started again after it was killed, it goes on where it was, and sends what
// it has no answer for again with the same id, as a careful client does.
import { setTimeout as wait } from 'node:timers/promises'
import { ForgeError, ForgeQ } from 'forgeq'
import { idSource } from '#src/core/id.js'
import type { Sent } from './events.ts'
import { monotonicMs, openHistory, readHistory, type Note } from './history.ts'
import type { EnqueueOp, Op } from './plan.ts'
import { behaviourOf, jobs } from './workload.ts'

export interface ProducerTask {
  readonly url: string
  readonly folder: string
  readonly role: string
  readonly ops: readonly Op[]
  /** Monotonic time at which the run began. */
  readonly startedAt: number
}

const newId = idSource(Date.now, (bytes) => crypto.getRandomValues(bytes))

/** What earlier processes of this role have done: the ids of operations, and which are over. */
function readPast(folder: string, role: string): { ids: Map<number, string>; over: Set<number> } {
  const ids = new Map<number, string>()
  const over = new Set<number>()
  for (const event of readHistory(folder, role)) {
    if (event.e === 'enqueue') ids.set(event.op, event.job.id)
    if (event.e === 'op-done' || event.e === 'op-failed') over.add(event.op)
  }
  return { ids, over }
}

async function enqueue(forge: ForgeQ, note: Note, op: number, given: EnqueueOp, id: string): Promise<void> {
  const { kind, load, queue, priority, delayMs, expireMs, unique } = given
  const { retries } = forge.explain(jobs[kind])
  const levels = { high: 2, normal: 5, low: 8 }
  const job: Sent = {
    id,
    type: kind,
    queue,
    priority: typeof priority === 'number' ? priority : levels[priority],
    payload: JSON.stringify(load),
    maxAttempts: retries + 1,
    once: behaviourOf(kind) === 'once',
    delayMs,
    expireMs,
    unique,
  }
  note({ e: 'enqueue', op, job })
  const handle = await forge.enqueue(jobs[kind], load, {
    id,
    queue,
    priority,
    ...(delayMs !== undefined && { delay: delayMs }),
    ...(expireMs !== undefined && { expire: expireMs }),
    ...(unique !== undefined && { unique }),
  })
  note({ e: 'enqueued', op, id: handle.id, duplicate: handle.duplicate })
}

async function produce({ url, folder, role, ops, startedAt }: ProducerTask): Promise<void> {
  const { ids, over } = readPast(folder, role)
  const note = openHistory(folder, role)
  const forge = new ForgeQ({ store: url })
  const storeNow = async (): Promise<number> => (await forge.store.open()).now

  const pause = async (queue: string, ms: number): Promise<void> => {
    await forge.admin.pause(queue)
    note({ e: 'paused', queue, at: await storeNow() })
    await wait(ms)
    note({ e: 'resuming', queue, at: await storeNow() })
    await forge.admin.resume(queue)
  }
  // One at a time: what resumes a queue must not end the pause of another.
  let pausing = Promise.resolve()
  const carryOut = async (op: number, given: Op): Promise<void> => {
    if (given.do === 'enqueue') {
      const id = ids.get(op) ?? newId()
      ids.set(op, id)
      return enqueue(forge, note, op, given, id)
    }
    if (given.do === 'cancel') {
      const id = ids.get(given.op)
      if (id === undefined) return
      note({ e: 'cancel', id })
      const [verdict] = await forge.admin.cancel([id])
      const state = verdict!.done ? verdict!.state : 'refused'
      return note({ e: 'cancelled', id, was: state === 'cancelled' || state === 'running' ? state : 'refused' })
    }
    pausing = pausing.then(() => pause(given.queue, given.ms))
    return pausing
  }
  const running: Promise<void>[] = []
  for (const [op, given] of ops.entries()) {
    if (over.has(op)) continue
    const early = given.at - (monotonicMs() - startedAt)
    if (early > 0) await wait(early)
    const done = carryOut(op, given).then(
      () => note({ e: 'op-done', op }),
      (error: unknown) => note({ e: 'op-failed', op, code: ForgeError.is(error) ? error.code : String(error) }),
    )
    running.push(done)
  }
  await Promise.all(running)
  await forge.close()
}

// The runner is gone: nobody reads what this would still do.
process.once('disconnect', () => process.exit(1))
process.once('message', (task: ProducerTask) => {
  produce(task).then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
