// Hints between processes by LISTEN and NOTIFY. They are sent a moment later for many commits together and never inside a
// transaction of ours: a NOTIFY holds a lock of the whole server until its commit is on disk. Hints may get lost; whoever
// listens also looks by itself.
import type { Topic } from '../store/store.ts'
import { makeListener, type Listener, type Pool } from './connect.ts'
import { quoteName } from './statements.ts'

/** Between two messages: what comes in this time goes together. */
const gatherMs = 10
/** Until a connection that broke is made again. */
const againMs = 1_000
/** A payload of NOTIFY has less than 8,000 bytes. */
const topicsPerMessage = 40

// Nobody waits for it and losing it loses nothing: it need not wait for the disk.
const notify = /* sql */ `
  SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, p) FROM unnest($2::text[]) AS p`

/** What is said: by whom, what happened, and the earliest instant at which something new is due. */
interface Message {
  readonly from: string
  readonly topics: readonly Topic[]
  readonly dueAt: number | null
}

export interface Hears {
  topics(topics: readonly Topic[]): void
  due(at: number): void
}

export class Notifier {
  readonly #url: string
  readonly #channel: string
  readonly #pool: Pool
  readonly #hears: Hears
  /** Marks messages of this process, which has heard them already. */
  readonly #self = crypto.randomUUID()
  readonly #outbox = new Set<Topic>()
  #dueAt = Infinity
  #listener: Listener | undefined
  #sendTimer: NodeJS.Timeout | undefined
  #againTimer: NodeJS.Timeout | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #sentAt = -Infinity
  #isClosed = false

  constructor(url: string, channel: string, pool: Pool, hears: Hears) {
    this.#url = url
    this.#channel = channel
    this.#pool = pool
    this.#hears = hears
  }

  /** Tells other processes, soon. */
  tell(topics: Iterable<Topic>, dueAt: number): void {
    for (const topic of topics) this.#outbox.add(topic)
    this.#dueAt = Math.min(this.#dueAt, dueAt)
    if (this.#outbox.size === 0 && this.#dueAt === Infinity) return
    this.#sendTimer ??= setTimeout(() => this.#send(), Math.max(0, this.#sentAt + gatherMs - performance.now()))
  }

  /** Hears what other processes tell from now on, until it is closed. */
  listen(): void {
    if (this.#listener !== undefined || this.#isClosed) return
    const listener = makeListener(this.#url)
    this.#listener = listener
    listener.on('error', () => this.#lost(listener))
    listener.on('end', () => this.#lost(listener))
    listener.on('notification', ({ payload }) => this.#hear(payload))
    listener
      .connect()
      .then(() => listener.query(`LISTEN ${quoteName(this.#channel)}`))
      .catch(() => this.#lost(listener))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#againTimer)
    clearTimeout(this.#sendTimer)
    if (this.#sendTimer !== undefined) this.#send()
    await this.#sending
    await this.#listener?.end().catch(() => undefined)
  }

  #send(): void {
    this.#sendTimer = undefined
    this.#sentAt = performance.now()
    const topics = [...this.#outbox]
    const dueAt = this.#dueAt === Infinity ? null : this.#dueAt
    this.#outbox.clear()
    this.#dueAt = Infinity
    const payloads: string[] = []
    for (let i = 0; i === 0 || i < topics.length; i += topicsPerMessage) {
      const message: Message = { from: this.#self, topics: topics.slice(i, i + topicsPerMessage), dueAt }
      payloads.push(JSON.stringify(message))
    }
    this.#sending = this.#pool.query({ text: notify, values: [this.#channel, payloads] }).catch(() => undefined)
  }

  #hear(payload: string | undefined): void {
    const message = parse(payload)
    if (message === undefined || message.from === this.#self) return
    this.#hears.topics(message.topics)
    if (message.dueAt !== null) this.#hears.due(message.dueAt)
  }

  #lost(listener: Listener): void {
    if (this.#listener !== listener || this.#isClosed) return
    this.#listener = undefined
    listener.end().catch(() => undefined)
    this.#againTimer = setTimeout(() => this.listen(), againMs).unref()
  }
}

/** Anybody may send to the channel: what is not ours is not heard. */
const parse = (payload: string | undefined): Message | undefined => {
  try {
    const message = JSON.parse(payload ?? '') as Partial<Message> | null
    return Array.isArray(message?.topics) && typeof message?.from === 'string' ? (message as Message) : undefined
  } catch {
    return undefined
  }
}
