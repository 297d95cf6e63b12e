// A producer: carries out its operations in time. Started again after it was killed, it goes on where it was, and sends what
// it has no answer for again with the same id, as a careful client does.
import { setTimeout as wait } from 'node:timers/promises'
import { ForgeError, ForgeQ, type UniqueRule } from 'forgeq'
import { idSource } from '#src/core/id.js'
import type { QueueSettings } from '#src/core/limit.js'
import type { Unique } from '#src/store/records.js'
import type { Sent } from './events.ts'
import { monotonicMs, openHistory, readHistory, type Note } from './history.ts'
import type { EnqueueOp, Op } from './operation.ts'
import { limitedQueues } from './plan-limits.ts'
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

const storeNow = async (forge: ForgeQ): Promise<number> => (await forge.store.open()).now

/** As the store is asked for it. */
const heldAs = ({ key, until = 'done', for: forMs }: Exclude<UniqueRule, string>): Unique =>
  forMs === undefined ? { key, until } : { key, forMs: Number(forMs) }

async function enqueue(forge: ForgeQ, note: Note, op: number, given: EnqueueOp, id: string): Promise<void> {
  const { kind, load, queue, priority, delayMs, expireMs, unique, key } = given
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
    unique: unique && heldAs(unique),
    ...(unique?.onConflict === 'replace' && { replaces: true }),
    key,
  }
  // The time is worth a look at the store only where something is proved by it.
  const isLimited = (limitedQueues as readonly string[]).includes(queue)
  note({ e: 'enqueue', op, job, ...(isLimited && { at: await storeNow(forge) }) })
  const handle = await forge.enqueue(jobs[kind], load, {
    id,
    queue,
    priority,
    ...(delayMs !== undefined && { delay: delayMs }),
    ...(expireMs !== undefined && { expire: expireMs }),
    ...(unique !== undefined && { unique }),
    ...(key !== undefined && { key }),
  })
  const { duplicate, replaced } = handle
  note({ e: 'enqueued', op, id: handle.id, duplicate, ...(replaced && { replaced }) })
}

async function produce({ url, folder, role, ops, startedAt }: ProducerTask): Promise<void> {
  const { ids, over } = readPast(folder, role)
  const note = openHistory(folder, role)
  const forge = new ForgeQ({ store: url })

  const pause = async (queue: string, ms: number): Promise<void> => {
    await forge.admin.pause(queue)
    note({ e: 'paused', queue, at: await storeNow(forge) })
    await wait(ms)
    note({ e: 'resuming', queue, at: await storeNow(forge) })
    await forge.admin.resume(queue)
  }
  const limit = async (queue: string, settings: QueueSettings): Promise<void> => {
    note({ e: 'limiting', queue, settings, at: await storeNow(forge) })
    await forge.store.setQueue(queue, settings)
    note({ e: 'limited', queue, settings, at: await storeNow(forge) })
  }
  // One at a time: what resumes a queue must not end the pause of another, what is set last must hold, and of replacements
  // of one key the last one must be known.
  const turns = new Map<string, Promise<void>>()
  const inTurn = (what: string, act: () => Promise<void>): Promise<void> => {
    const turn = (turns.get(what) ?? Promise.resolve()).catch(() => undefined).then(act)
    turns.set(what, turn)
    return turn
  }
  const carryOut = async (op: number, given: Op): Promise<void> => {
    if (given.do === 'enqueue') {
      const id = ids.get(op) ?? newId()
      ids.set(op, id)
      const send = (): Promise<void> => enqueue(forge, note, op, given, id)
      return given.unique?.onConflict === 'replace' ? inTurn(given.unique.key, send) : send()
    }
    if (given.do === 'cancel') {
      const id = ids.get(given.op)
      if (id === undefined) return
      note({ e: 'cancel', id })
      const [verdict] = await forge.admin.cancel([id])
      const state = verdict!.done ? verdict!.state : 'refused'
      return note({ e: 'cancelled', id, was: state === 'cancelled' || state === 'running' ? state : 'refused' })
    }
    if (given.do === 'limit') return inTurn('limit', () => limit(given.queue, given.settings))
    return inTurn('pause', () => pause(given.queue, given.ms))
  }
  const failed = async (op: number, code: string): Promise<void> => {
    const isRefused = code === 'QUEUE_FULL' || code === 'QUEUE_CLOSED'
    const at = isRefused ? await storeNow(forge).catch(() => undefined) : undefined
    note({ e: 'op-failed', op, code, at })
  }
  const running: Promise<void>[] = []
  for (const [op, given] of ops.entries()) {
    if (over.has(op)) continue
    const early = given.at - (monotonicMs() - startedAt)
    if (early > 0) await wait(early)
    const done = carryOut(op, given).then(
      () => note({ e: 'op-done', op }),
      (error: unknown) => failed(op, ForgeError.is(error) ? error.code : String(error)),
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
