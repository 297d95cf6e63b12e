// A store and the reference store side by side: every command goes to both, every answer and everything that can be seen
// afterwards must be equal.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { bury, cancel, complete, crash, failure, release, retry, snooze } from '#src/conformance/endings.js'
import { Model } from '#src/conformance/model.js'
import { leaseMs, policy } from '#src/conformance/scene.js'
import { ForgeError } from '#src/core/errors.js'
import { noLimits, type QueueSettings } from '#src/core/limit.js'
import { idSource } from '#src/core/id.js'
import type { ImagePage } from '#src/store/moved.js'
import { settingsOf } from '#src/store/queue-record.js'
import type * as records from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import type { Command } from './commands.ts'

type Of<D extends Command['do']> = Extract<Command, { do: D }>

/** The clock that both stores read. */
export interface TwinClock {
  now(): number
  advance(ms: number): void | Promise<void>
}

interface TwinWorker {
  readonly id: string
  turn: number
  /** The last request that did something, while it may be sent again. */
  last: records.ExchangeRequest | null
}

/** Beats whenever time passes, so that only a silence of everybody is one. */
const pacemaker = 'pacemaker'

export class Twin {
  #store: Store
  #model: Model
  readonly #clock: TwinClock
  readonly #another: (() => Promise<Store>) | undefined
  readonly #nextId: () => string
  readonly #jobs: records.NewJob[] = []
  #holds: records.Hold[] = []
  /** By job and claim: a claim is settled again as it was the first time. */
  #sent = new Map<string, records.Settlement>()
  #workers: TwinWorker[] = []
  /** Of all that there ever were. */
  #workerCount = 0
  #lost: readonly records.LostJob[] = []
  #hasDeadlines = false

  /** `another` opens the store to which all jobs move when a command says so; without it they stay. */
  constructor(store: Store, clock: TwinClock, another?: () => Promise<Store>) {
    this.#store = store
    this.#clock = clock
    this.#another = another
    this.#model = new Model(() => clock.now())
    this.#nextId = idSource(
      () => clock.now(),
      (bytes) => bytes.fill(0),
    )
  }

  async play(commands: readonly Command[]): Promise<void> {
    await this.#both((store) => store.register(this.#registration(pacemaker, [])))
    await this.#register(true)
    await this.#register(false)
    for (const [index, command] of commands.entries()) {
      await this.#do(command)
      await this.#compare(overview)
      // What differs stays different: looking at every job now and then is enough.
      if (index % 10 === 9 || index === commands.length - 1) await this.#compare(everyJob)
    }
  }

  async #do(command: Command): Promise<unknown> {
    switch (command.do) {
      case 'enqueue':
        return this.#enqueue(command)
      case 'exchange':
        return this.#exchange(command)
      case 'repeat':
        return this.#repeat(this.#worker(command.worker).last, 0)
      case 'goBack':
        return this.#repeat(this.#worker(command.worker).last, 1)
      case 'register':
        return this.#register(command.isExpert)
      case 'leave':
        return this.#both((store) => store.leave(this.#worker(command.worker).id, command.end))
      case 'beat': {
        const worker = this.#worker(command.worker)
        const notes = await this.#notes(worker, command.notes)
        const { slots } = command
        const facts = slots === undefined ? null : { slots, busy: 0, rssBytes: 1, loopLagMs: 0, stuck: 0 }
        return this.#both((store) => store.beat(worker.id, facts, notes))
      }
      case 'look':
        this.#lost = await this.#both(lostBy)
        return
      case 'rescue':
        return this.#rescue(command)
      case 'promote':
        return this.#both((store) => store.promote(1000))
      case 'prune':
        this.#forget()
        return this.#both((store) => store.prune(1000))
      case 'act':
        return this.#act(command)
      case 'setWorker':
        return this.#both((store) => store.setWorker(this.#worker(command.worker).id, { slots: command.slots }))
      case 'setQueue':
        return this.#both((store) => store.setQueue(command.queue, defined(command.settings)))
      case 'move':
        return this.#another === undefined ? undefined : this.#move(this.#another)
      case 'advance':
      case 'stay away':
        await this.#clock.advance(command.ms)
        return this.#both((store) => store.beat(pacemaker, null, []))
    }
  }

  /** Nobody works any more; then both stores are others, with the same jobs. */
  async #move(another: () => Promise<Store>): Promise<void> {
    for (const { id } of this.#workers) await this.#both((store) => store.leave(id))
    await this.#rescue({ do: 'rescue', how: 'release', isLate: false })
    const to = { store: await another(), model: new Model(() => this.#clock.now()) }
    await moveAll(this.#store, to.store)
    await moveAll(this.#model, to.model)
    this.#store = to.store
    this.#model = to.model
    this.#workers = []
    this.#holds = []
    this.#lost = []
    this.#sent = new Map()
    await this.#both((store) => store.register(this.#registration(pacemaker, [])))
    await this.#register(true)
    await this.#register(false)
  }

  async #repeat(request: records.ExchangeRequest | null, turnsBack: number): Promise<void> {
    if (request) await this.#both((store) => store.exchange({ ...request, turn: request.turn - turnsBack }))
  }

  async #rescue({ how, isLate }: Of<'rescue'>): Promise<void> {
    if (!isLate) this.#lost = await this.#both(lostBy)
    const rescue = this.#lost.map((lost) => ({ ...rescues[how](lost), worker: lost.worker }))
    this.#forget()
    await this.#both((store) => store.settle(rescue))
  }

  async #act({ action, jobs, payload }: Of<'act'>): Promise<void> {
    const ids = jobs.flatMap((index) => pick(this.#jobs, index)?.id ?? [])
    if (action === 'delete' || action === 'retry') await this.#revive(ids)
    const request = action === 'retry' ? { action, ids, ...(payload && { payload }) } : { action, ids }
    await this.#both((store) => store.act(request))
  }

  async #enqueue({ jobs, atomic }: Of<'enqueue'>): Promise<void> {
    const batch = jobs.map((job): records.NewJob => {
      const known = job.again && pick(this.#jobs, job.again.index)
      if (known) return job.again?.isSame ? known : { ...known, payload: '{"other":1}' }
      // Strange jobs are of the first level and have no deadline: in which order several parked ones are found again,
      // when others are claimed before them, is left to the store.
      const isStrange = job.type === 'strange'
      if (job.expireMs !== undefined && !isStrange) this.#hasDeadlines = true
      return {
        id: job.hasBadId ? 'bad' : this.#nextId(),
        type: job.type,
        payload: `{"n":${this.#jobs.length}}`,
        policy: {
          ...policy,
          queue: job.queue,
          priority: isStrange ? 0 : job.priority,
          keepResultMs: job.keepResultMs,
          maxAttempts: job.maxAttempts,
        },
        tags: job.tags,
        ...(job.delayMs !== undefined && { delayMs: job.delayMs }),
        ...(job.expireMs !== undefined && !isStrange && { expireMs: job.expireMs }),
        ...(job.unique !== undefined && { unique: job.unique }),
        ...(job.key !== undefined && { key: job.key }),
      }
    })
    this.#jobs.push(...batch.filter(({ id }) => id !== 'bad'))
    await this.#both((store) => store.enqueue(batch, { atomic }))
  }

  async #exchange(command: Of<'exchange'>): Promise<void> {
    const worker = this.#worker(command.worker)
    const settlements: records.Settlement[] = []
    for (const one of command.settlements) {
      const hold = await this.#hold(worker, one.index, one.isStale)
      // One call never speaks of two claims of a job.
      if (!hold || settlements.some(({ job, claim }) => job === hold.job && claim !== hold.claim)) continue
      const key = `${hold.job} ${hold.claim}`
      const settlement = this.#sent.get(key) ?? this.#settlement(hold, one)
      this.#sent.set(key, settlement)
      settlements.push(settlement)
    }
    const notes = await this.#notes(worker, command.notes)
    const { wants, slots, suspects, suspectSlots } = command
    const turn = ++worker.turn
    const how = { ...(suspects && { suspects }), ...(suspectSlots !== undefined && { suspectSlots }) }
    const request = { worker: worker.id, turn, settlements, wants, slots, notes, ...how }
    const reply = await this.#both((store) => store.exchange(request))
    // Closed, or refused for a follow-up with the id of another job.
    if (!('claimed' in reply)) return
    this.#holds.push(...reply.claimed.map(({ job, claim }) => ({ job, claim })))
    // A turn that did nothing may be done again: its number need not be remembered.
    worker.last = reply.verdicts.length + reply.claimed.length > 0 ? request : null
    if (reply.verdicts.length > 0) this.#forget(worker)
    if (command.isSentTwice && worker.last) await this.#both((store) => store.exchange(request))
  }

  #settlement(hold: records.Hold, given: Of<'exchange'>['settlements'][number]): records.Settlement {
    const error = failure(`no ${hold.claim}`)
    const scope = given.delayMs > 0 ? given.holdBack : undefined
    switch (given.outcome) {
      case 'complete':
        return complete(hold, '{"ok":true}', given.hasFollowUp ? [this.#followUp(given)] : undefined)
      case 'retry':
        return retry(hold, given.delayMs, error)
      case 'snooze':
        return snooze(hold, given.delayMs, given.hasError ? error : null, scope)
      case 'release':
        return release(hold)
      case 'bury':
        return bury(hold, 'exhausted', error, scope && { scope, forMs: given.delayMs })
      case 'cancel':
        return cancel(hold, given.hasError ? error : null)
      case 'crash':
        return crash(hold, given.isPoison ? 'poison' : undefined)
    }
  }

  #followUp({ followUpKey, followUpUnique }: Of<'exchange'>['settlements'][number]): records.NewJob {
    const job: records.NewJob = {
      id: this.#nextId(),
      type: 'work',
      payload: '"next"',
      policy: { ...policy, queue: 'a' },
      ...(followUpKey !== undefined && { key: followUpKey }),
      ...(followUpUnique && { unique: followUpUnique }),
    }
    this.#jobs.push(job)
    return job
  }

  /** A claim that the worker holds, or any there ever was. */
  async #hold(worker: TwinWorker, index: number, isStale: boolean): Promise<records.Hold | undefined> {
    if (isStale) return pick(this.#holds, index)
    const { jobs } = await this.#model.find({ state: 'running' }, null, 1000)
    const held = jobs.filter((job) => job.worker === worker.id)
    const job = pick(held, index)
    return job && { job: job.id, claim: job.claim }
  }

  async #notes(worker: TwinWorker, given: Of<'beat'>['notes']): Promise<records.Note[]> {
    const notes: records.Note[] = []
    for (const { index, isStale, done, lines } of given) {
      const hold = await this.#hold(worker, index, isStale)
      const logs = Array.from(
        { length: lines },
        (_, n) => ({ level: 'info', message: `${done}.${n}`, ageMs: n }) as const,
      )
      if (hold) notes.push({ ...hold, progress: { done }, logs })
    }
    return notes
  }

  async #register(isExpert: boolean): Promise<void> {
    const id = `worker-${this.#workerCount++}`
    this.#workers.push({ id, turn: 0, last: null })
    const types = isExpert ? ['work', 'mail', 'strange'] : ['work', 'mail']
    await this.#both((store) => store.register(this.#registration(id, types)))
  }

  #registration(id: string, types: readonly string[]): records.Registration {
    return {
      id,
      host: 'host',
      pid: 1,
      pidSpace: null,
      version: '1',
      queues: ['a', 'b'],
      types: types.map((type) => ({ type, policy, inputSchema: null })),
      slots: 5,
      leaseMs,
      keepAlive: false,
    }
  }

  #worker(index: number): TwinWorker {
    return pick(this.#workers, index)!
  }

  /** Once others settle, or jobs go for good, a turn that spoke of the same jobs need not be answered as before. */
  #forget(except?: TwinWorker): void {
    for (const worker of this.#workers) if (worker !== except) worker.last = null
  }

  /** Nor that a claim ended cancelled, once its job goes on. */
  async #revive(ids: readonly string[]): Promise<void> {
    this.#forget()
    const cancelled = (await this.#model.jobs(ids)).filter(({ state }) => state === 'cancelled')
    this.#holds = this.#holds.filter(({ job }) => !cancelled.some(({ id }) => id === job))
  }

  /** Calls both and answers what both answered. */
  async #both<T>(call: (store: Store) => Promise<T>): Promise<T> {
    const [expected, actual] = await Promise.all([outcomeOf(call(this.#model)), outcomeOf(call(this.#store))])
    assert.deepEqual(this.#plain(actual), this.#plain(expected))
    return expected as T
  }

  async #compare(look: (store: Store) => Promise<unknown>): Promise<void> {
    const [expected, actual] = await Promise.all([look(this.#model), look(this.#store)])
    assert.deepEqual(this.#plain(actual), this.#plain(expected))
  }

  /** Without what a store is free to choose: its words, and how early it looks for what is due. */
  #plain(value: unknown): unknown {
    const text = JSON.stringify(value, (key, part: unknown) => {
      if (key === 'refused') return (part as records.Refusal).code
      if (key === 'nextDueAt' && this.#hasDeadlines) return undefined
      // How far a store looks before it answers is its own affair.
      if (key === 'more') return undefined
      return part
    })
    return text === undefined ? undefined : JSON.parse(text)
  }
}

const overview = async (store: Store): Promise<unknown> => {
  const workers = [...(await store.workers())].sort((a, b) => (a.id < b.id ? -1 : 1))
  const queues = (await store.queues()).filter(
    ({ counts, paused, accepting, limits }) =>
      paused || !accepting || !isDeepStrictEqual(limits, noLimits) || Object.values(counts).some((n) => n !== 0),
  )
  return {
    // Which of several lanes has the oldest job is not looked up.
    queues: queues.map((queue) => ({ ...queue, oldestReadyAt: queue.oldestReadyAt !== null })),
    workers: workers.map((worker) => ({ ...worker, types: [...worker.types].sort() })),
  }
}

const moveAll = async (from: Store, to: Store): Promise<void> => {
  for (const queue of await from.queues()) {
    const settings = settingsOf(queue)
    if (!isDeepStrictEqual(settings, unset)) await to.setQueue(queue.queue, settings)
  }
  let cursor: string | null = null
  do {
    const page: ImagePage = await from.dump(cursor, 7)
    assert.ok((await to.load(page)).every((verdict) => verdict === 'loaded'))
    assert.ok((await to.load(page)).every((verdict) => verdict === 'same'))
    cursor = page.cursor
  } while (cursor !== null)
}

const unset: QueueSettings = { paused: false, accepting: true, ...noLimits }

const everyJob = async (store: Store): Promise<unknown> => {
  const ids: string[] = []
  let cursor: string | null = null
  do {
    const page: records.JobPage = await store.find({}, cursor, 100)
    ids.push(...page.jobs.map(({ id }) => id))
    cursor = page.cursor
  } while (cursor !== null)
  const jobs = await store.jobs(ids.sort(), ['attempts', 'logs', 'line'])
  // Between two claims `runAt` may be the first or the last instant that the job waited for.
  return jobs.map(({ runAt, ...job }) => (job.state === 'scheduled' ? { ...job, runAt } : job))
}

const rescues = {
  crash: (lost) => crash(lost),
  poison: (lost) => crash(lost, 'poison'),
  retry: (lost) => retry(lost, 2000),
  release,
  bury: (lost) => bury(lost),
} satisfies Record<string, (lost: records.LostJob) => records.Settlement>

const pick = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length]

/** What a call led to: its answer, or the code it was refused with. */
const outcomeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.catch((error: unknown) => {
    if (ForgeError.is(error)) return { refusedWith: error.code }
    throw error
  })

/** Without the settings that are left as they are. */
const defined = (settings: object): QueueSettings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

const lostBy = async (store: Store): Promise<readonly records.LostJob[]> => {
  const { jobs } = await store.lost(1000)
  return [...jobs].sort((a, b) => (a.job < b.job ? -1 : 1))
}
