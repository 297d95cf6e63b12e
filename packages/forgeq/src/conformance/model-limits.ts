// The limits of the queues of the reference store: what is set, every start that may still count, what is held back until
// when. Windows are counted from the log of starts. Who has the place of a key: model-lines.ts.
import {
  changeLimits,
  fillOf,
  noLimits,
  type QueueLimits,
  type QueueSettings,
  type Rate,
  type RateFill,
  type Scope,
  type Starts,
  windowStart,
} from '../core/limit.ts'
import type { KeyLine, QueueRecord } from '../store/queue-record.ts'
import { type Gate, idOf, ModelAlarms } from './model-alarms.ts'
import type { ModelJob } from './model-job.ts'

interface Settings {
  readonly paused: boolean
  readonly accepting: boolean
  readonly limits: QueueLimits
}

export interface Start {
  readonly gate: string
  readonly at: number
  /** Forgotten by prune afterwards. */
  readonly until: number
}

const unset: Settings = { paused: false, accepting: true, limits: noLimits }

const rateGate = (queue: string): Gate => ({ queue, of: 'rate', name: '' })
const levelGate = (queue: string, level: number): Gate => ({ queue, of: 'level', name: String(level) })
export const keyGate = (queue: string, key: string): Gate => ({ queue, of: 'key', name: key })
const holdGate = (queue: string): Gate => ({ queue, of: 'hold', name: '' })
const typeGate = (queue: string, type: string): Gate => ({ queue, of: 'type', name: type })

export class ModelLimits {
  readonly alarms: ModelAlarms = new ModelAlarms()
  readonly #settings = new Map<string, Settings>()
  /** By gate; those that are over, too. */
  readonly holds: Map<string, Gate & { readonly until: number }> = new Map()
  starts: Start[] = []

  of(queue: string): Settings {
    return this.#settings.get(queue) ?? unset
  }

  /** The queues for which anything is set. */
  names(): readonly string[] {
    const isSet = (settings: Settings): boolean => JSON.stringify(settings) !== JSON.stringify(unset)
    return [...this.#settings].filter(([, settings]) => isSet(settings)).map(([queue]) => queue)
  }

  change(queue: string, change: QueueSettings, now: number): void {
    const { paused, accepting, limits } = this.of(queue)
    this.#settings.set(queue, {
      paused: change.paused ?? paused,
      accepting: change.accepting ?? accepting,
      limits: changeLimits(limits, change),
    })
    if (change.rate) this.noteClosed(rateGate(queue), now)
    for (const [level, rate] of Object.entries(change.rates ?? {})) {
      if (rate) this.noteClosed(levelGate(queue, Number(level)), now)
    }
    if (change.perKey !== undefined) this.alarms.review(queue, now)
  }

  /** What the rate of a gate leaves; `null` when it has none. */
  fill(gate: Gate, now: number): RateFill | null {
    const rate = this.#rateOf(gate)
    return rate && fillOf(rate, this.counted(gate, rate, now))
  }

  protected counted(gate: Gate, rate: Rate, now: number): Starts {
    const counted = this.startsOf(gate).filter((at) => at > windowStart(rate, now))
    return { count: counted.length, firstAt: counted.length === 0 ? null : Math.min(...counted) }
  }

  protected startsOf(gate: Gate): readonly number[] {
    return this.starts.filter((start) => start.gate === idOf(gate)).map(({ at }) => at)
  }

  #rateOf({ queue, of, name }: Gate): Rate | null {
    const { limits } = this.of(queue)
    if (of === 'level') return limits.rates[Number(name)] ?? null
    return of === 'key' ? limits.perKey.rate : limits.rate
  }

  /** A job starts: it counts in every window that it belongs to. */
  noteStart({ policy: { queue, priority }, key }: ModelJob, now: number): void {
    const ofQueue = [rateGate(queue), levelGate(queue, priority)]
    for (const gate of key === null ? ofQueue : [...ofQueue, keyGate(queue, key)]) {
      const rate = this.#rateOf(gate)
      if (rate) this.#remember(idOf(gate), now, now + rate.perMs)
    }
    // That of a key is noted when its token is put right.
    for (const gate of ofQueue) this.noteClosed(gate, now)
  }

  /** All starts of an instant are remembered as long as the last of them. */
  #remember(gate: string, at: number, until: number): void {
    const together = this.starts.filter((start) => start.gate === gate && start.at === at)
    const longest = Math.max(until, ...together.map((start) => start.until))
    this.starts = this.starts.map((start) => (together.includes(start) ? { ...start, until: longest } : start))
    this.starts.push({ gate, at, until: longest })
  }

  protected noteClosed(gate: Gate, now: number): void {
    const opensAt = this.fill(gate, now)?.opensAt
    if (typeof opensAt === 'number') this.alarms.note(gate, opensAt)
  }

  /** Oldest first; answers the keys that have fewer now, by name. */
  forgetStarts(now: number): readonly (readonly [queue: string, key: string])[] {
    const kept = this.starts.filter(({ until }) => until > now)
    const isOver = (start: Start): boolean =>
      start.until <= now && !kept.some(({ gate, at }) => gate === start.gate && at < start.at)
    const over = [...new Set(this.starts.filter(isOver).map(({ gate }) => gate))].sort()
    this.starts = this.starts.filter((start) => !isOver(start))
    return over.flatMap((gate) => {
      const [queue, of, name] = JSON.parse(gate) as [string, Gate['of'], string]
      return of === 'key' ? [[queue, name] as const] : []
    })
  }

  /** How many jobs may start now, when so many run. */
  roomOf(queue: string, running: number, now: number): number {
    const { paused, limits } = this.of(queue)
    if (paused || this.heldUntil(holdGate(queue), now) !== null) return 0
    const slots = Math.max(0, (limits.concurrency ?? Infinity) - running)
    return Math.min(slots, this.fill(rateGate(queue), now)?.left ?? Infinity)
  }

  isLevelOpen(queue: string, level: number, now: number): boolean {
    return this.fill(levelGate(queue, level), now)?.left !== 0
  }

  hold({ policy: { queue }, type, key }: ModelJob, scope: Scope, until: number): void {
    if (scope === 'queue') this.holdGate(holdGate(queue), until)
    if (scope === 'type') this.holdGate(typeGate(queue, type), until)
    if (scope === 'key' && key !== null) this.holdGate(keyGate(queue, key), until)
  }

  protected holdGate(gate: Gate, given: number): void {
    const until = this.longer(given, this.holds.get(idOf(gate))?.until ?? given)
    this.holds.set(idOf(gate), { ...gate, until })
    if (gate.of !== 'key') this.alarms.note(gate, until)
  }

  /** A hold is never shortened. */
  protected longer(given: number, known: number): number {
    return Math.max(given, known)
  }

  /** `null` when it is not held back. */
  protected heldUntil(gate: Gate, now: number): number | null {
    const until = this.holds.get(idOf(gate))?.until ?? now
    return until > now ? until : null
  }

  typeHeldUntil(queue: string, type: string, now: number): number | null {
    return this.heldUntil(typeGate(queue, type), now)
  }

  /** When a key opens, by its rate and its hold; `null`: it is not closed. */
  keyOpensAt(queue: string, key: string, now: number): number | null {
    const { heldUntil, rateOpensAt } = this.closedUntil(queue, key, now)
    return Math.max(heldUntil ?? 0, rateOpensAt ?? 0) || null
  }

  closedUntil(queue: string, key: string, now: number): Pick<KeyLine, 'heldUntil' | 'rateOpensAt'> {
    const gate = keyGate(queue, key)
    return { heldUntil: this.heldUntil(gate, now), rateOpensAt: this.fill(gate, now)?.opensAt ?? null }
  }

  /** What is due opens: answers who is to be told, and notes when what is still closed opens. */
  ring(limit: number, now: number): readonly Gate[] {
    const gates = this.alarms.take(limit, now)
    for (const gate of gates) if (gate.of === 'rate' || gate.of === 'level') this.noteClosed(gate, now)
    return gates
  }

  record(queue: string, now: number): Omit<QueueRecord, 'queue' | 'counts' | 'oldestReadyAt'> {
    const settings = this.of(queue)
    const levels = Object.keys(settings.limits.rates).map(Number)
    const rates = levels.map((level) => [level, this.fill(levelGate(queue, level), now)!] as const)
    const held = [...this.holds.values()].filter((gate) => gate.queue === queue && gate.of === 'type')
    const heldTypes = held.filter(({ until }) => until > now).map(({ name, until }) => [name, until] as const)
    return {
      ...settings,
      fill: { rate: this.fill(rateGate(queue), now), rates: Object.fromEntries(rates) },
      heldUntil: this.heldUntil(holdGate(queue), now),
      heldTypes: Object.fromEntries(heldTypes.sort(([a], [b]) => (a < b ? -1 : 1))),
    }
  }
}
