// Hints between processes by LISTEN and NOTIFY. They are sent a moment later for many commits together and never inside a
// transaction of ours: a NOTIFY holds a lock of the whole server until its commit is on disk. Hints may get lost; whoever
// listens also looks by itself.
import type { Topic } from '../store/store.ts'
import { Awaited, idEnded } from './awaited.ts'
import { breakOff, type Listener, type Pool, type Query, type Result } from './client.ts'
import { makeListener } from './connect.ts'
import { Deadline } from './deadline.ts'
import { quoteName, type Statements } from './statements.ts'

/** Between two messages: what comes in this time goes together. */
const gatherMs = 10
/** Until a connection that broke is made again, half of it or all: many listeners lose theirs at once. */
const againMs = 1_000
/** Whoever hears nothing does not know whether there is nothing: so often it is asked for. */
const pulseMs = 15_000
/** Until a listener that does not answer is given up. */
const answerMs = 4_000
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
  /** Whose ends are waited for there (awaited.ts). */
  readonly awaits?: string
  /** Listens from now on, and does not know who waits for what. */
  readonly asks?: true
}

export interface Hears {
  topics(topics: readonly Topic[]): void
  due(at: number): void
  /** Listens from now on, and may have missed anything before. */
  missed(): void
  /** What is listened to. */
  all(): Iterable<Topic>
  has(topic: Topic): boolean
}

export interface NotifierOptions {
  readonly url: string
  readonly channel: string
  readonly pool: Pool
  readonly statements: Statements
  readonly hears: Hears
}

// Of the session that listens, no other: it is there, both ways, and the server knows that it listens.
const isListening = /* sql */ `SELECT 1 FROM pg_listening_channels() AS c WHERE c = $1`

export class Notifier {
  readonly #url: string
  readonly #channel: string
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #hears: Hears
  /** Marks messages of this process, which has heard them already. */
  readonly #self = crypto.randomUUID()
  readonly #outbox = new Set<Topic>()
  readonly #awaited: Awaited
  /** What is said besides, each in a message of its own. */
  #extra: readonly Pick<Message, 'awaits' | 'asks'>[] = []
  #dueAt = Infinity
  #listener: Listener | undefined
  #sendTimer: NodeJS.Timeout | undefined
  #againTimer: NodeJS.Timeout | undefined
  #pulseTimer: NodeJS.Timeout | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #sentAt = -Infinity
  #isClosed = false

  constructor({ url, channel, pool, statements, hears }: NotifierOptions) {
    this.#url = url
    this.#channel = channel
    this.#pool = pool
    this.#statements = statements
    this.#hears = hears
    this.#awaited = new Awaited({
      all: () => hears.all(),
      has: (topic) => hears.has(topic),
      say: (texts) => this.#say(texts.map((awaits) => ({ awaits }))),
    })
  }

  /** Tells other processes, soon; of a job that ended only when one of them waits for it. */
  tell(topics: Iterable<Topic>, dueAt: number): void {
    for (const topic of topics) if (this.#isNews(topic)) this.#outbox.add(topic)
    this.#dueAt = Math.min(this.#dueAt, dueAt)
    if (this.#outbox.size > 0 || this.#dueAt < Infinity) this.#sendSoon()
  }

  /** Whether another process waits for the end of a job, as far as is known here. */
  isAwaited(id: string): boolean {
    return this.#awaited.isElsewhere(id)
  }

  #isNews(topic: Topic): boolean {
    const id = idEnded(topic)
    if (id === undefined) return true
    const isNews = this.#awaited.isElsewhere(id)
    this.#awaited.forget(id)
    return isNews
  }

  #say(extra: readonly Pick<Message, 'awaits' | 'asks'>[]): void {
    this.#extra = [...this.#extra, ...extra]
    this.#sendSoon()
  }

  /** At once where nothing was sent just now: not even the shortest timer is as short as what follows. */
  #sendSoon(): void {
    if (this.#sendTimer !== undefined) return
    const leftMs = this.#sentAt + gatherMs - performance.now()
    if (leftMs <= 0) this.#send()
    else this.#sendTimer = setTimeout(() => this.#send(), leftMs)
  }

  /** Hears what other processes tell from now on, until it is closed; tells them what is waited for in this one. */
  listen(topics: readonly Topic[]): void {
    this.#awaited.add(topics)
    this.#connect()
  }

  #connect(): void {
    if (this.#listener !== undefined || this.#isClosed) return
    const listener = makeListener(this.#url)
    this.#listener = listener
    listener.on('error', () => this.#lost(listener))
    listener.on('end', () => this.#lost(listener))
    listener.on('notification', ({ payload }) => this.#hear(payload))
    listener
      .connect()
      .then(() => this.#ask(listener, { text: `LISTEN ${quoteName(this.#channel)}` }))
      .then(() => this.#begin(listener))
      .then(() => this.#feelPulse(listener))
      .catch(() => this.#lost(listener))
  }

  #begin(listener: Listener): void {
    if (this.#listener !== listener || this.#isClosed) return
    this.#hears.missed()
    this.#say([{ asks: true }])
    this.#awaited.begin()
  }

  #feelPulse(listener: Listener): void {
    if (this.#listener !== listener || this.#isClosed) return
    this.#pulseTimer = setTimeout(() => {
      this.#ask(listener, { text: isListening, values: [this.#channel] })
        .then(({ rows }) => (rows.length === 1 ? this.#feelPulse(listener) : this.#lost(listener)))
        .catch(() => this.#lost(listener))
    }, pulseMs).unref()
  }

  async #ask(listener: Listener, query: Query): Promise<Result> {
    const unwatch = new Deadline(answerMs).watch(listener)
    try {
      return await listener.query(query)
    } finally {
      unwatch()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#awaited.end()
    clearTimeout(this.#againTimer)
    clearTimeout(this.#pulseTimer)
    clearTimeout(this.#sendTimer)
    if (this.#sendTimer !== undefined) this.#send()
    await this.#sending
    const listener = this.#listener
    if (listener === undefined) return
    const unwatch = new Deadline(answerMs).watch(listener)
    await listener
      .end()
      .catch(() => undefined)
      .finally(unwatch)
  }

  #send(): void {
    this.#sendTimer = undefined
    this.#sentAt = performance.now()
    const topics = [...this.#outbox]
    const dueAt = this.#dueAt === Infinity ? null : this.#dueAt
    this.#outbox.clear()
    this.#dueAt = Infinity
    const messages: Message[] = this.#extra.map((extra) => ({ from: this.#self, topics: [], dueAt: null, ...extra }))
    this.#extra = []
    for (let i = 0; i < topics.length || (i === 0 && dueAt !== null); i += topicsPerMessage) {
      messages.push({ from: this.#self, topics: topics.slice(i, i + topicsPerMessage), dueAt })
    }
    const payloads = messages.map((message) => JSON.stringify(message))
    const query = this.#statements.query(notify, [this.#channel, payloads])
    this.#sending = this.#pool.query(query).catch(() => undefined)
  }

  #hear(payload: string | undefined): void {
    const message = parse(payload)
    if (message === undefined || message.from === this.#self) return
    this.#hears.topics(message.topics)
    if (message.dueAt !== null) this.#hears.due(message.dueAt)
    if (message.awaits !== undefined) this.#awaited.hear(message.awaits)
    if (message.asks === true) this.#awaited.asked()
  }

  #lost(listener: Listener): void {
    if (this.#listener !== listener || this.#isClosed) return
    this.#listener = undefined
    this.#awaited.end()
    clearTimeout(this.#pulseTimer)
    breakOff(listener)
    this.#againTimer = setTimeout(() => this.#connect(), againMs * (0.5 + Math.random() / 2)).unref()
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
