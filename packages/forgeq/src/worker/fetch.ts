// The exchange with the store, one numbered turn at a time: tells how claims ended and asks for as many as there is room
// for. A turn whose answer got lost is sent again unchanged, so that no claim is lost in between.
import { defaults } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type {
  Claimed,
  Closed,
  ExchangeReply,
  ExchangeRequest,
  Note,
  Order,
  Settlement,
  Verdict,
  Want,
} from '../store/records.ts'
import { failpoint } from '../store/failpoint.ts'
import { batchLimit, type Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { pauseMs, willPass } from '../trouble.ts'
import { Loop } from './loop.ts'
import type { Run } from './run.ts'
import type { Slots } from './slots.ts'
import { Suspects, type Claiming, type Taking } from './suspects.ts'

/** Progress and logs wait at most this long for a turn to ride on. */
const notesMs = 250
/** Of settlements in one turn: each weighs one, one more per follow-up and per 4 KiB of result. */
const turnWeight = batchLimit

export interface Fetching {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  readonly slots: Slots
  /** How suspects are taken. */
  readonly suspects: Taking
  readonly claimed: (claimed: Claimed) => void
  readonly settled: (run: Run, verdict: Verdict) => void
  readonly ordered: (order: Order) => void
  /** How a run ends instead, because the store refuses its completion. */
  readonly refused: (run: Run, error: unknown) => Settlement
  readonly heard: (reply: ExchangeReply) => void
  /** A turn is over, and what it brought is under way. */
  readonly turned: () => void
  /** The worker's record was closed: what it held is lost to it. */
  readonly closed: (worker: string) => void
  /** The store does not answer; the turn is sent again. */
  readonly unavailable: (error: ForgeError) => void
  /** Whether an exchange with nothing to do may be answered late. */
  readonly mayWait: boolean
  /** Asked for jobs and got none while none was running. */
  readonly idle: () => void
  readonly failed: (error: unknown) => void
}

interface Turn {
  readonly request: ExchangeRequest
  /** In the order of the settlements. */
  readonly runs: readonly Run[]
}

export class Fetch {
  readonly #host: Fetching
  readonly #loop: Loop
  readonly #suspects: Suspects
  readonly #ended: Run[] = []
  readonly #noted = new Set<Run>()
  #worker: string | undefined
  #turn = 0
  /** Sent, and not answered yet. */
  #open: Turn | undefined
  #failures = 0
  #retryAt = 0
  #claims = true
  #pollMs: number = defaults.pollBusyMs

  constructor(host: Fetching) {
    this.#host = host
    this.#loop = new Loop(() => this.#exchange(), host.timers, host.failed)
    this.#suspects = new Suspects(host.suspects, host.random)
  }

  /** Nothing waits to be settled, and no turn is open that may bring more. */
  get isSettled(): boolean {
    return this.#open === undefined && this.#ended.length === 0
  }

  /** Begins with turn 1 as a newly registered worker. */
  begin(worker: string): void {
    this.#worker = worker
    this.#turn = 0
    this.wake()
  }

  /** Forgets everything that belongs to a closed worker. */
  reset(): void {
    this.#worker = undefined
    this.#open = undefined
    this.#ended.length = 0
    this.#noted.clear()
  }

  /** There may be work: so the store was heard of, and what waits for it to be back need not wait. */
  wake(): void {
    this.#pollMs = defaults.pollBusyMs
    this.#retryAt = 0
    this.#loop.wake()
  }

  /** The run ended and its settlement is known. */
  settle(run: Run): void {
    failpoint('worker.before-settle')
    this.#ended.push(run)
    this.#loop.wake()
  }

  note(run: Run): void {
    this.#noted.add(run)
    this.#loop.wake(notesMs)
  }

  /** From now on only settles; an exchange that waits is answered now, so that what it brings can be handed back. */
  stopClaiming(): void {
    this.#claims = false
    if (this.#open?.request.waits !== true) return
    this.#host.store.beat(this.#open.request.worker, null, []).catch((error: unknown) => {
      // The exchange has the same trouble, and tries again.
      if (!willPass(error)) this.#host.failed(error)
    })
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
  }

  async #exchange(): Promise<number | undefined> {
    const { store, timers, random } = this.#host
    const worker = this.#worker
    if (worker === undefined) return undefined
    if (this.#open !== undefined && timers.now() < this.#retryAt) return this.#retryAt - timers.now()
    this.#open ??= this.#nextTurn(worker)
    const turn = this.#open
    if (turn === undefined) return undefined
    const sentAt = timers.now()
    let reply: ExchangeReply | Closed
    try {
      reply = await store.exchange(turn.request)
    } catch (error) {
      if (!willPass(error)) return this.#amend(turn, error)
      this.#host.unavailable(error)
      this.#failures += 1
      const delayMs = pauseMs(this.#failures, random)
      this.#retryAt = timers.now() + delayMs
      return delayMs
    }
    this.#failures = 0
    // Closed and registered anew while the answer was on its way.
    if (this.#worker !== worker) return 0
    this.#open = undefined
    if (reply.closed) {
      this.#host.closed(worker)
      return undefined
    }
    const delayMs = this.#hear(turn, reply, timers.now() - sentAt)
    this.#host.turned()
    return delayMs
  }

  #nextTurn(worker: string): Turn | undefined {
    const { slots, timers } = this.#host
    const runs = this.#takeEnded()
    const isEmpty = slots.busy === 0 && this.#ended.length === 0
    const claiming = this.#claims ? this.#suspects.next(isEmpty, timers.now()) : 'nothing'
    const wants = this.#wantsOf(claiming)
    if (runs.length === 0 && this.#noted.size === 0 && wants.length === 0) return undefined
    const notes = this.#takeNotes()
    const settlements = runs.map((run) => run.settlement!)
    this.#turn += 1
    const free = wants.length === 0 || claiming === 'look' ? 0 : Math.min(slots.free, batchLimit)
    const suspects = claiming === 'nothing' || claiming === 'look' ? 'skip' : claiming
    const suspectSlots = suspects === 'apart' ? Math.max(0, this.#suspects.most(timers.now()) - slots.busy) : undefined
    // It would wait past the suspects that it skips.
    const waits = this.#host.mayWait && isEmpty && suspects !== 'skip' && settlements.length + notes.length === 0
    const how = { suspects, ...(suspectSlots !== undefined && { suspectSlots }) }
    return { request: { worker, turn: this.#turn, settlements, wants, slots: free, ...how, notes, waits }, runs }
  }

  #wantsOf(claiming: Claiming): readonly Want[] {
    const { slots } = this.#host
    if (claiming === 'nothing' || slots.free === 0) return []
    // Without slots to fill, the store only says whether suspects are left.
    return claiming === 'look' ? slots.names.map((queue) => ({ queue, slots: 1 })) : slots.wants(claiming === 'alone')
  }

  /**
   * The store refused the turn, and so changed nothing, because of what one handler did: that job fails with the error,
   * the others need not pay for it.
   */
  #amend(turn: Turn, error: unknown): number {
    const run = ForgeError.is(error) ? turn.runs.find(({ claimed }) => claimed.job === error.id) : undefined
    if (run?.settlement?.outcome !== 'complete') throw error
    run.settlement = this.#host.refused(run, error)
    const settlements = turn.runs.map(({ settlement }) => settlement!)
    this.#open = { request: { ...turn.request, settlements }, runs: turn.runs }
    return 0
  }

  #hear(turn: Turn, reply: ExchangeReply, tookMs: number): number | undefined {
    const { request, runs } = turn
    const { slots, timers } = this.#host
    this.#host.heard(reply)
    this.#suspects.hear(reply, request.wants.length === slots.names.length, timers.now())
    runs.forEach((run, index) => this.#host.settled(run, reply.verdicts[index]!))
    for (const order of reply.orders) this.#host.ordered(order)
    for (const claimed of reply.claimed) {
      failpoint('worker.after-claim')
      this.#host.claimed(claimed)
    }
    const hasNone = request.slots > 0 && reply.claimed.length === 0 && !reply.more && !reply.suspects
    if (hasNone && slots.busy === 0 && this.#ended.length === 0) this.#host.idle()
    if (this.#ended.length > 0) return 0
    const pollMs = this.#nextPollMs(turn, reply, tookMs)
    return this.#noted.size === 0 ? pollMs : Math.min(pollMs ?? notesMs, notesMs)
  }

  #nextPollMs({ request, runs }: Turn, { claimed, suspects, more }: ExchangeReply, tookMs: number): number | undefined {
    if (!this.#claims || this.#host.slots.free <= 0) return undefined
    if (more) return 0
    // It only looked whether suspects still wait.
    if (request.slots === 0 && request.wants.length > 0) return suspects ? defaults.pollIdleMs : 0
    // Nothing but suspects is there: it is their turn again.
    if (suspects && request.suspects === 'skip' && this.#host.slots.busy === 0) return 0
    // As many as one turn may bring: there will be more.
    if (claimed.length > 0 && claimed.length === request.slots) return 0
    // The store waited with its answer: that was the pause.
    if (request.waits === true && tookMs >= this.#pollMs) return 0
    const isBusy = claimed.length > 0 || runs.length > 0
    this.#pollMs = isBusy ? defaults.pollBusyMs : Math.min(this.#pollMs * 2, defaults.pollIdleMs)
    return this.#pollMs * (1 + this.#host.random() * 0.4)
  }

  #takeEnded(): readonly Run[] {
    let weight = 0
    let count = 0
    for (const { settlement } of this.#ended) {
      weight += weigh(settlement!)
      if (weight > turnWeight && count > 0) break
      count += 1
    }
    return this.#ended.splice(0, count)
  }

  #takeNotes(): readonly Note[] {
    if (this.#noted.size === 0) return []
    const now = this.#host.timers.now()
    const notes: Note[] = []
    for (const run of this.#noted) {
      const note = run.takeNote(now)
      if (note !== undefined) notes.push(note)
    }
    this.#noted.clear()
    return notes
  }
}

const weigh = (settlement: Settlement): number =>
  settlement.outcome === 'complete'
    ? 1 + (settlement.followUps?.length ?? 0) + (settlement.result?.length ?? 0) / 4096
    : 1
