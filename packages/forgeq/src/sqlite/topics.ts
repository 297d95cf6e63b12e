// Wake-ups: who listens to what in this process, hints after our own commits, and a look at what other connections wrote.
import type { Topic } from '../store/store.ts'
import { nextDueAt } from './lease.ts'
import type { Memory } from './operations.ts'
import type { Statements } from './statements.ts'

// Changes whenever another connection has committed since the last look; our own commits do not change it.
const dataVersion = /* sql */ `PRAGMA data_version`
const hasReady = /* sql */ `
  SELECT 1 FROM forgeq_queue q WHERE q.name = ? AND NOT q.paused AND (
    EXISTS (SELECT 1 FROM forgeq_ready r WHERE r.queue = q.id) OR EXISTS (SELECT 1 FROM forgeq_parked p WHERE p.queue = q.id))`
// A deleted job has ended too: whoever waits for it must look.
const endedOf = /* sql */ `
  SELECT e.value AS id FROM json_each(?) e LEFT JOIN forgeq_job j ON j.id = e.value
  WHERE j.seq IS NULL OR EXISTS (SELECT 1 FROM forgeq_done d WHERE d.job = j.seq)`
const hasOrders = /* sql */ `
  SELECT 1 FROM forgeq_worker w WHERE w.uid = ? AND (w.closed OR w.slots <> w.facts ->> '$.slots' OR EXISTS (
    SELECT 1 FROM forgeq_running r WHERE r.worker = w.id AND r.cancelled))`

/** One look asks for at most this many awaited jobs; the next look goes on with the others. */
const endedLimit = 500

export class Topics {
  readonly #statements: Statements
  readonly #hint: (topics: readonly Topic[]) => void
  readonly #memory: Pick<Memory, 'dueAt'>
  readonly #listened = new Map<Topic, number>()
  #awaited = 0
  #ended: string[] = []
  #version: number | undefined

  constructor(statements: Statements, memory: Pick<Memory, 'dueAt'>, hint: (topics: readonly Topic[]) => void) {
    this.#memory = memory
    this.#statements = statements
    this.#hint = hint
  }

  /** Whether anyone here waits for a job; nearly always asked when nobody does. */
  readonly isAwaited = (id: string): boolean => this.#awaited > 0 && this.#listened.has(`ended:${id}`)

  get isListening(): boolean {
    return this.#listened.size > 0
  }

  listen(topic: Topic): void {
    const before = this.#listened.get(topic) ?? 0
    if (before === 0 && topic.startsWith('ended:')) this.#awaited++
    this.#listened.set(topic, before + 1)
  }

  unlisten(topic: Topic): void {
    const left = (this.#listened.get(topic) ?? 0) - 1
    if (left > 0) this.#listened.set(topic, left)
    else if (this.#listened.delete(topic) && topic.startsWith('ended:')) this.#awaited--
  }

  /** Hints of a commit of ours. */
  announce(topics: ReadonlySet<Topic>, earliestDueAt: number): void {
    const heard = [...topics].filter((topic) => this.#listened.has(topic))
    if (earliestDueAt < this.#memory.dueAt) {
      this.#memory.dueAt = earliestDueAt
      if (this.#listened.has('due')) heard.push('due')
    }
    if (heard.length > 0) this.#hint(heard)
  }

  /** Whether another connection wrote since the last look, and whether that was for someone here. */
  pollForeign(): { readonly changed: boolean; readonly heard: readonly Topic[] } {
    const { data_version: version } = this.#statements.sql(dataVersion).get() as { data_version: number }
    // The first look counts too: someone may have written between the opening of the file and now.
    const changed = version !== this.#version
    this.#version = version
    if (changed) this.#ended = [...this.#listened.keys()].filter((topic) => topic.startsWith('ended:'))
    const heard: Topic[] = this.#endedNow()
    if (changed) {
      for (const topic of this.#listened.keys()) if (this.#concerns(topic)) heard.push(topic)
    }
    if (heard.length > 0) this.#hint(heard)
    return { changed, heard }
  }

  #concerns(topic: Topic): boolean {
    if (topic.startsWith('ready:')) return this.#statements.sql(hasReady).get(topic.slice(6)) !== undefined
    if (topic.startsWith('orders:')) return this.#statements.sql(hasOrders).get(topic.slice(7)) !== undefined
    if (topic !== 'due') return false
    const at = nextDueAt(this.#statements) ?? Infinity
    const isEarlier = at < this.#memory.dueAt
    this.#memory.dueAt = at
    return isEarlier
  }

  #endedNow(): Topic[] {
    const ids = this.#ended.splice(0, endedLimit).map((topic) => topic.slice(6))
    if (ids.length === 0) return []
    const rows = this.#statements.sql(endedOf).all(JSON.stringify(ids)) as { id: string }[]
    return rows.map((row): Topic => `ended:${row.id}`)
  }
}
