// Whose end is waited for in which process: says it of this one, and remembers it of others. Who ends a job tells others of it
// only when one of them waits for it, and where nobody waits nothing is said at all. What is said lasts for a while, for those
// who wait may die; where it gets lost, who waits still looks by itself.
import type { Topic } from '../store/store.ts'

/** So long others remember a wait; who still waits says so again in good time. */
const rememberedMs = 90_000
const renewMs = rememberedMs / 3
/** Within this time who begins to listen is told, for many begin at once. */
const welcomeMs = 500
/** A wait that is over by then is not worth a word. */
const gatherMs = 10
/** Of an id only its end is said, which is random. Mistaking two jobs costs a hint that nobody heeds. */
const tailLength = 12
/** A message of so many is below the 8,000 bytes of a payload. */
const tailsPerMessage = 600
/** Others may wait for as much as they want; what is beyond this they find by themselves. */
const mostRemembered = 200_000

const prefix = 'ended:'
const tailOf = (id: string): string => id.slice(-tailLength)

/** The job whose end a topic is. */
export const idEnded = (topic: Topic): string | undefined =>
  topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined

export interface Awaiting {
  /** What is listened to in this process. */
  all(): Iterable<Topic>
  has(topic: Topic): boolean
  /** Tells others, each text in a message of its own. */
  say(texts: readonly string[]): void
}

export class Awaited {
  readonly #awaiting: Awaiting
  readonly #now: () => number
  /** What is waited for here and others may not know. */
  readonly #untold = new Set<Topic>()
  /** Tail of an id -> until when it is believed that somebody elsewhere waits for it. */
  readonly #elsewhere = new Map<string, number>()
  #isHearing = false
  #sweepAt = 0
  #tellTimer: NodeJS.Timeout | undefined
  #renewTimer: NodeJS.Timeout | undefined
  #renewAt = Infinity

  constructor(awaiting: Awaiting, now: () => number = () => performance.now()) {
    this.#awaiting = awaiting
    this.#now = now
  }

  /** Listened to from now on. */
  add(topics: Iterable<Topic>): void {
    // Who does not hear answers need not ask.
    if (!this.#isHearing) return
    for (const topic of topics) if (topic.startsWith(prefix)) this.#untold.add(topic)
    if (this.#untold.size === 0) return
    this.#tellTimer ??= setTimeout(() => this.#tell(), gatherMs)
    this.#renewWithin(renewMs)
  }

  /** What others tell is heard from now on. */
  begin(): void {
    this.#isHearing = true
    this.add(this.#awaiting.all())
  }

  end(): void {
    this.#isHearing = false
    this.#renewAt = Infinity
    clearTimeout(this.#tellTimer)
    clearTimeout(this.#renewTimer)
    this.#tellTimer = undefined
  }

  /** Somebody has begun to listen, and does not know of those who wait. */
  asked(): void {
    this.#renewWithin(welcomeMs)
  }

  /** What another process said. */
  hear(text: string): void {
    const now = this.#now()
    if (now >= this.#sweepAt) this.#sweep(now)
    for (let i = 0; i + tailLength <= text.length && this.#elsewhere.size < mostRemembered; i += tailLength) {
      this.#elsewhere.set(text.slice(i, i + tailLength), now + rememberedMs)
    }
  }

  /** Whether somebody in another process waits for the end of this job, as far as is known here. */
  isElsewhere(id: string): boolean {
    if (this.#elsewhere.size === 0) return false
    const until = this.#elsewhere.get(tailOf(id))
    return until !== undefined && this.#now() < until
  }

  /** It ended, and who waited is told. */
  forget(id: string): void {
    this.#elsewhere.delete(tailOf(id))
  }

  #tell(): void {
    this.#tellTimer = undefined
    const tails = [...this.#untold].filter((topic) => this.#awaiting.has(topic)).map(tailOf)
    this.#untold.clear()
    const texts: string[] = []
    for (let i = 0; i < tails.length; i += tailsPerMessage) texts.push(tails.slice(i, i + tailsPerMessage).join(''))
    if (texts.length > 0) this.#awaiting.say(texts)
  }

  /** Not all at the same time. */
  #renewWithin(ms: number): void {
    const at = performance.now() + ms * (0.5 + Math.random() / 2)
    if (!this.#isHearing || this.#renewAt <= at) return
    this.#renewAt = at
    clearTimeout(this.#renewTimer)
    this.#renewTimer = setTimeout(() => this.#renew(), at - performance.now()).unref()
  }

  #renew(): void {
    this.#renewAt = Infinity
    this.add(this.#awaiting.all())
  }

  #sweep(now: number): void {
    this.#sweepAt = now + rememberedMs
    for (const [tail, until] of this.#elsewhere) if (until <= now) this.#elsewhere.delete(tail)
  }
}
