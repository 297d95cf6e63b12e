// A torture run in one thread, on any store and in no time: actors that behave as the engine's processes do, take turns by a
// seed, die, stand still, and lose answers. It shows what the checker sees when a store, or an actor, is wrong in one point.
import { afterLoss } from '#src/core/outcome.js'
import { idSource } from '#src/core/id.js'
import { ForgeError } from '#src/core/errors.js'
import { states } from '#src/core/states.js'
import { policy as basePolicy } from '#src/conformance/scene.js'
import type { QueueSettings } from '#src/core/limit.js'
import type { ManualClock } from '#src/store/clock.js'
import type { LostJob, NewJob, Settlement } from '#src/store/records.js'
import { batchLimit, type Store } from '#src/store/store.js'
import type { Event, Final, History } from './events.ts'
import type { Note } from './history.ts'
import { randomOf, type Random } from './random.ts'
import { recorded, sentOf } from './recorded-store.ts'

/** How the actors go about it; the engine's way unless a test wants to see it noticed. */
export interface Habits {
  readonly abortsWhatItLost: boolean
  readonly sendsALostTurnAgain: boolean
  readonly decideCrash: (lost: LostJob) => Settlement & { readonly worker: string }
}

const engineHabits: Habits = {
  abortsWhatItLost: true,
  sendsALostTurnAgain: true,
  decideCrash: (lost) => afterLoss(lost, 0, () => 0),
}
const leaseMs = 15_000
const types = ['work', 'once'] as const

/** On which queues it is played, and what is special about them. */
export interface Scenery {
  readonly queues: readonly string[]
  /** What an operator sets, again and again. */
  readonly settings?: (queue: string, random: Random) => QueueSettings | undefined
  /** What producers make of a job; follow-ups stay as they are. */
  readonly dress?: (job: NewJob, random: Random) => NewJob
  /** How a claim ends, where the actor leaves it open. */
  readonly settle?: (random: Random) => Pick<Settlement & { outcome: 'snooze' }, 'delayMs' | 'holdBack'> | undefined
}

const plain: Scenery = { queues: ['a', 'b'] }

interface Held {
  readonly job: string
  readonly claim: number
  readonly failures: number
  readonly worker: string
}

interface Actor {
  pid: number
  note: Note
  store: Store
  worker: string
  turn: number
  held: Held[]
  open: Parameters<Store['exchange']>[0] | undefined
  stillUntil: number
}

export class Rehearsal {
  readonly #events: Event[] = []
  readonly #store: Store
  readonly #clock: ManualClock
  readonly #random: Random
  readonly #habits: Habits
  readonly #scenery: Scenery
  readonly #newId: () => string
  readonly #actors: Actor[]
  readonly #known: string[] = []
  readonly #paused = new Set<string>()
  readonly #startedAt: number
  #pids = 100
  #losesAnswers = true

  constructor(store: Store, clock: ManualClock, seed: number, habits: Partial<Habits> = {}, scenery: Scenery = plain) {
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#random = randomOf(seed)
    this.#habits = { ...engineHabits, ...habits }
    this.#scenery = scenery
    this.#newId = idSource(
      () => clock.now(),
      (bytes) => bytes.fill(this.#random.between(0, 255)),
    )
    this.#store = this.#lossy(store)
    this.#actors = [this.#newActor(), this.#newActor(), this.#newActor()]
  }

  async play(steps: number): Promise<History> {
    for (const actor of this.#actors) await this.#register(actor)
    for (const queue of this.#scenery.queues) await this.#limit(queue)
    for (let step = 0; step < steps; step += 1) await this.#step()
    this.#losesAnswers = false
    for (const queue of this.#paused) await this.#resume(queue)
    const isDrained = await this.#drain()
    for (const { worker } of this.#actors) await this.#store.leave(worker)
    return { events: this.#events, final: await this.#read(isDrained) }
  }

  async #step(): Promise<void> {
    const { next, pick, between } = this.#random
    const actor = pick(this.#actors)
    const dice = next()
    if (this.#scenery.settings !== undefined && this.#random.chance(0.06)) await this.#limit(pick(this.#scenery.queues))
    this.#clock.advance(between(1, 400))
    // Not each time: one that stood still may tell of its jobs before it hears that they are no longer its own.
    for (const one of this.#actors) if (!this.#isStill(one) && this.#random.chance(0.7)) await this.#beat(one)
    if (dice < 0.25) await this.#enqueue()
    else if (dice < 0.7) await this.#exchange(actor)
    else if (dice < 0.78) await this.#rescue(actor)
    else if (dice < 0.88) await this.#try(() => this.#store.promote(batchLimit))
    else if (dice < 0.92) await this.#cancel()
    else if (dice < 0.94) await this.#pauseOrResume(pick(this.#scenery.queues))
    else if (dice < 0.97) await this.#die(actor)
    else this.#standStill(actor, between(leaseMs, 3 * leaseMs))
  }

  #noteOf(pid: number): Note {
    return (fact) =>
      void this.#events.push({ t: this.#clock.now() - this.#startedAt + this.#events.length / 1e5, pid, ...fact })
  }

  #newActor(): Actor {
    const pid = (this.#pids += 1)
    const note = this.#noteOf(pid)
    const store = recorded(this.#store, note)
    return { pid, note, store, worker: '', turn: 0, held: [], open: undefined, stillUntil: 0 }
  }

  /** Every tenth answer gets lost after the call was carried out. */
  #lossy(store: Store): Store {
    const lose =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        const answer = await call(...args)
        if (!this.#losesAnswers || !this.#random.chance(0.1)) return answer
        throw new ForgeError('OUTCOME_UNKNOWN', 'the answer got lost')
      }
    const own: Partial<Store> = {
      exchange: lose((request) => store.exchange(request)),
      settle: lose((settlements) => store.settle(settlements)),
      enqueue: lose((jobs, options) => store.enqueue(jobs, options)),
    }
    return new Proxy(store, { get: (it, name: keyof Store) => own[name] ?? it[name].bind(it) })
  }

  /** An answer that got lost is nobody's fault here. */
  async #try<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call()
    } catch (error) {
      if (ForgeError.is(error, 'OUTCOME_UNKNOWN')) return undefined
      throw error
    }
  }

  #isStill({ stillUntil }: Actor): boolean {
    return stillUntil > this.#clock.now()
  }

  #standStill(actor: Actor, ms: number): void {
    if (this.#isStill(actor)) return
    actor.stillUntil = this.#clock.now() + ms
    this.#noteOf(1)({ e: 'fault', kind: 'stop worker', pid: actor.pid, ms })
  }

  async #register(actor: Actor): Promise<void> {
    actor.worker = this.#newId()
    actor.turn = 0
    actor.open = undefined
    const known = types.map((type) => ({ type, policy: basePolicy, inputSchema: null }))
    const facts = {
      host: 'host',
      pid: actor.pid,
      pidSpace: null,
      version: '1',
      queues: this.#scenery.queues,
      types: known,
      slots: 5,
      leaseMs,
      keepAlive: false,
    }
    await actor.store.register({ id: actor.worker, ...facts })
  }

  async #beat(actor: Actor): Promise<void> {
    const reply = await this.#store.beat(actor.worker, null, [])
    if (reply.closed) await this.#lose(actor)
  }

  async #lose(actor: Actor): Promise<void> {
    actor.note({ e: 'lease-lost', worker: actor.worker })
    if (this.#habits.abortsWhatItLost) {
      for (const { job, claim } of actor.held) {
        actor.note({ e: 'abort', job, claim, code: 'LEASE_LOST' })
        actor.note({ e: 'end', job, claim })
      }
      actor.held = []
    }
    await this.#register(actor)
  }

  #newJob(unique?: string): NewJob {
    const { pick, chance, between } = this.#random
    const once = chance(0.1)
    const maxAttempts = once ? 1 : 3
    return {
      id: this.#newId(),
      type: once ? 'once' : 'work',
      payload: ` {"n": ${between(0, 9)}, "n": 1.0}`,
      policy: {
        ...basePolicy,
        queue: pick(this.#scenery.queues),
        priority: pick([2, 5, 8]),
        maxAttempts,
        delivery: once ? 'at-most-once' : 'at-least-once',
      },
      ...(chance(0.2) && { delayMs: between(1, 5_000) }),
      ...(chance(0.1) && { expireMs: between(1, 3_000) }),
      ...(unique !== undefined && { unique: { key: unique, until: 'done', onConflict: 'keep' } as const }),
    }
  }

  async #enqueue(): Promise<void> {
    const note = this.#noteOf(2)
    const { chance, between } = this.#random
    const bare = this.#newJob(chance(0.3) ? `key-${between(1, 2)}` : undefined)
    const job = this.#scenery.dress?.(bare, this.#random) ?? bare
    const op = this.#events.length
    note({ e: 'enqueue', op, job: sentOf(job), at: this.#clock.now() })
    let answers: Awaited<ReturnType<Store['enqueue']>> | undefined
    while (answers === undefined) answers = await this.#try(() => this.#store.enqueue([job], { atomic: false }))
    const [answer] = answers
    if (answer === undefined) return
    if ('refused' in answer) return note({ e: 'op-failed', op, code: answer.refused.code, at: this.#clock.now() })
    note({ e: 'enqueued', op, ...answer })
    this.#known.push(answer.id)
  }

  async #exchange(actor: Actor): Promise<void> {
    if (this.#isStill(actor)) return
    const { between } = this.#random
    if (actor.open === undefined || !this.#habits.sendsALostTurnAgain) {
      const ended = actor.held.splice(0, between(0, actor.held.length))
      const settlements = ended.map((held) => this.#settle(actor, held))
      const slots = Math.max(0, 5 - actor.held.length)
      const wants = this.#scenery.queues.map((queue) => ({ queue, slots }))
      actor.turn += 1
      actor.open = { worker: actor.worker, turn: actor.turn, settlements, wants, slots, notes: [] }
    }
    const reply = await this.#try(() => actor.store.exchange(actor.open!))
    if (reply === undefined) return
    actor.open = undefined
    if (reply.closed) return this.#lose(actor)
    for (const { job, claim, payload, attempt } of reply.claimed) {
      actor.note({ e: 'start', job, claim, home: actor.pid, payload })
      actor.held.push({ job, claim, failures: attempt - 1, worker: actor.worker })
    }
  }

  #settle(actor: Actor, { job, claim, failures }: Held): Settlement {
    const { between, chance } = this.#random
    actor.note({ e: 'end', job, claim })
    const error = { code: 'HANDLER_ERROR', name: 'Error', message: 'it failed' }
    const dice = between(0, 9)
    const { once, maxAttempts } = this.#sentOf(job)
    const snoozed = once ? undefined : this.#scenery.settle?.(this.#random)
    if (snoozed !== undefined) return { job, claim, outcome: 'snooze', error: null, ...snoozed }
    if (dice === 0)
      return once ? { job, claim, outcome: 'bury', reason: 'lost', error } : { job, claim, outcome: 'release' }
    if (dice <= 3) {
      const isOver = failures + 1 >= maxAttempts
      if (isOver) return { job, claim, outcome: 'bury', reason: 'exhausted', error }
      return { job, claim, outcome: 'retry', delayMs: between(0, 3_000), error }
    }
    actor.note({ e: 'effect', job, claim })
    const followUps = chance(0.2) ? [this.#newJob()] : undefined
    return { job, claim, outcome: 'complete', result: null, ...(followUps && { followUps }) }
  }

  #sentOf(id: string): { readonly once: boolean; readonly maxAttempts: number } {
    for (const event of this.#events) {
      if (event.e === 'enqueue' && event.job.id === id) return event.job
      if (event.e !== 'exchange') continue
      const followUp = event.settlements.flatMap(({ followUps }) => followUps ?? []).find((job) => job.id === id)
      if (followUp !== undefined) return followUp
    }
    return { once: false, maxAttempts: 1 }
  }

  async #rescue(actor: Actor): Promise<void> {
    const { jobs } = await actor.store.lost(batchLimit)
    // Others may do the same, and run what they brought back, before this one goes on.
    if (this.#random.chance(0.3)) {
      const other = this.#random.pick(this.#actors)
      await this.#rescue(other)
      await this.#exchange(other)
    }
    if (jobs.length > 0) await this.#try(() => actor.store.settle(jobs.map(this.#habits.decideCrash)))
  }

  async #cancel(): Promise<void> {
    if (this.#known.length === 0) return
    const note = this.#noteOf(2)
    const id = this.#random.pick(this.#known.slice(-8))
    note({ e: 'cancel', id })
    const [verdict] = await this.#store.act({ action: 'cancel', ids: [id] })
    const was = verdict?.done === true ? (verdict.state === 'running' ? 'running' : 'cancelled') : 'refused'
    note({ e: 'cancelled', id, was })
  }

  async #limit(queue: string): Promise<void> {
    const settings = this.#scenery.settings?.(queue, this.#random)
    if (settings === undefined) return
    const note = this.#noteOf(2)
    note({ e: 'limiting', queue, settings, at: this.#clock.now() })
    await this.#store.setQueue(queue, settings)
    note({ e: 'limited', queue, settings, at: this.#clock.now() })
  }

  async #pauseOrResume(queue: string): Promise<void> {
    if (this.#paused.has(queue)) return this.#resume(queue)
    this.#paused.add(queue)
    await this.#store.setQueue(queue, { paused: true })
    this.#noteOf(2)({ e: 'paused', queue, at: (await this.#store.open()).now })
  }

  async #resume(queue: string): Promise<void> {
    this.#noteOf(2)({ e: 'resuming', queue, at: (await this.#store.open()).now })
    this.#paused.delete(queue)
    await this.#store.setQueue(queue, { paused: false })
  }

  /** Its process dies; another takes its place. Half of the time somebody tells the store. */
  async #die(actor: Actor): Promise<void> {
    const { worker } = actor
    Object.assign(actor, this.#newActor())
    if (this.#random.chance(0.5)) await this.#store.leave(worker)
    await this.#register(actor)
  }

  /** Without any more faults everything must come to its end. */
  async #drain(): Promise<boolean> {
    let isDrained = false
    for (let round = 0; round < 300; round += 1) {
      this.#clock.advance(500)
      for (const actor of this.#actors) {
        if (this.#isStill(actor)) continue
        await this.#beat(actor)
        await this.#exchange(actor)
        await this.#rescue(actor)
      }
      await this.#store.promote(batchLimit)
      const counts = (await this.#store.queues()).map((record) => record.counts)
      if (counts.every(({ ready, scheduled, running }) => ready + scheduled + running === 0)) {
        isDrained = true
        break
      }
    }
    // Those that died without a word are noticed when their lease is over.
    for (let look = 0; look < 4; look += 1) {
      this.#clock.advance(leaseMs / 3)
      for (const actor of this.#actors) await this.#beat(actor)
      await this.#store.lost(batchLimit)
    }
    return isDrained
  }

  async #read(isDrained: boolean): Promise<Final> {
    const store = this.#store
    const pages = await Promise.all(states.map((state) => store.find({ state }, null, batchLimit)))
    const ids = pages.flatMap(({ jobs }) => jobs.map(({ id }) => id))
    const [jobs, queueRecords, workers] = [
      await store.jobs(ids, ['attempts']),
      await store.queues(),
      await store.workers(),
    ]
    return { jobs, queues: queueRecords, workers, leftovers: [], isDrained, now: this.#clock.now() }
  }
}
