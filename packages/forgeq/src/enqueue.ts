// Sends new jobs to the store: single ones together, many in chunks, and again with the same ids when the store did not
// answer or its answer was lost. Holds a bounded number of them for a store that is slow.
import { caps } from './core/caps.ts'
import { ForgeError } from './core/errors.ts'
import type { Enqueued, NewJob } from './store/records.ts'
import { batchLimit, type Store } from './store/store.ts'
import type { Timers } from './timers.ts'
import { pauseMs, willPass } from './trouble.ts'

/** What an accepted job is answered with. */
export type Accepted = Exclude<Enqueued, { readonly refused: unknown }>

/** More would only wait in the store's line. */
const chunksInFlight = 2
/** A store knows best what became of a call that takes too long: so much longer it may take to say so. */
const lastWordMs = 500
/** How much longer the first use may take where the schema is being made: nothing is wrong then, and it happens once. */
const makingMs = 10_000
/** What many jobs add to the deadline: on a way that is slow, too, they may arrive. */
const charsPerMs = 1000

interface Waiting {
  readonly job: NewJob
  readonly resolve: (accepted: Accepted) => void
  readonly reject: (error: unknown) => void
}

/** How a call is made again. */
interface Sending {
  readonly jobs: number
  readonly withinMs: number
  readonly lastWordMs: number
  /** What is known of a call that the store did not end. */
  readonly late: () => ForgeError
  /** Asked when its time is over: how much more it has. */
  readonly moreMs?: () => number
}

export class Enqueuer {
  readonly #store: Store
  readonly #timers: Timers
  readonly #random: () => number
  readonly #deadlineMs: number
  #waiting: Waiting[] = []
  /** Jobs that wait for an answer: in line, on their way, or for the store to open. */
  #held = 0

  constructor(store: Store, timers: Timers, random: () => number, deadlineMs: number) {
    this.#store = store
    this.#timers = timers
    this.#random = random
    this.#deadlineMs = deadlineMs
  }

  /** As `enqueue`, for what a job waits for before it can be sent; a store that is being made has longer. TOO_MANY_WAITING. */
  async opening(open: (making: () => void) => Promise<unknown>): Promise<void> {
    this.#hold(1)
    let moreMs = 0
    const making = (): void => {
      moreMs = makingMs
    }
    try {
      const sending = { jobs: 1, withinMs: this.#deadlineMs, lastWordMs: 0, late: notOpened, moreMs: () => moreMs }
      await this.#retry(() => open(making), sending)
    } finally {
      this.#held -= 1
    }
  }

  /**
   * All that come in one turn of the event loop go in one call, at its end: one alone is not delayed. TOO_MANY_WAITING at
   * once, before memory fills with jobs that a slow store does not take.
   */
  enqueue(job: NewJob): Promise<Accepted> {
    return new Promise((resolve, reject) => {
      this.#hold(1)
      this.#waiting.push({ job, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => this.#flush())
    })
  }

  /**
   * In chunks, each stored whole or not at all; the next one is on its way while the store writes the last. Only those on
   * their way are held: TOO_MANY_WAITING before the first, never between two.
   */
  async enqueueMany(jobs: readonly NewJob[]): Promise<readonly Accepted[]> {
    const most = Math.min(jobs.length, chunksInFlight * batchLimit)
    this.#hold(most)
    try {
      return await this.#sendChunks(jobs)
    } finally {
      this.#held -= most
    }
  }

  async #sendChunks(jobs: readonly NewJob[]): Promise<readonly Accepted[]> {
    const sent: Promise<readonly Accepted[]>[] = []
    try {
      for (let start = 0; start < jobs.length; start += batchLimit) {
        await sent[sent.length - chunksInFlight]
        const chunk = this.#sendChunk(jobs.slice(start, start + batchLimit), start)
        // Awaited in order below: until then a failure is no unhandled rejection.
        chunk.catch(() => undefined)
        sent.push(chunk)
      }
      return (await Promise.all(sent)).flat()
    } catch (error) {
      const stored = (await Promise.allSettled(sent)).flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
      throw tellProgress(error, stored.length, jobs.length)
    }
  }

  async #sendChunk(chunk: readonly NewJob[], start: number): Promise<readonly Accepted[]> {
    const answers = await this.#send(chunk, true)
    answers.forEach((answer, i) => refuse(answer, `[${start + i}]`))
    return answers as readonly Accepted[]
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let start = 0; start < waiting.length; start += batchLimit) {
      const chunk = waiting.slice(start, start + batchLimit)
      this.#send(
        chunk.map(({ job }) => job),
        false,
      )
        .finally(() => (this.#held -= chunk.length))
        .then(
          (answers) => chunk.forEach((one, i) => answer(one, answers[i]!)),
          (error: unknown) => chunk.forEach(({ job, reject }) => reject(forJob(error, job.id))),
        )
    }
  }

  #hold(jobs: number): void {
    if (this.#held + jobs > caps.enqueuesWaiting) {
      throw new ForgeError(
        'TOO_MANY_WAITING',
        `${this.#held} jobs wait for the store to answer, and at most ${caps.enqueuesWaiting} may: nothing was stored; ` +
          'enqueue again when some of them are through',
      )
    }
    this.#held += jobs
  }

  /** Until the deadline the call is made again; then it is known to have failed, or its outcome is not known. */
  async #retry<T>(call: (leftMs: number) => Promise<T>, sending: Sending): Promise<T> {
    const endsAt = this.#timers.now() + sending.withinMs
    let lost: ForgeError | undefined
    for (let failures = 1; ; failures += 1) {
      try {
        const leftMs = endsAt - this.#timers.now()
        return await this.#bound(call(leftMs), leftMs + sending.lastWordMs, sending)
      } catch (error) {
        if (!willPass(error)) throw error
        if (error.code === 'OUTCOME_UNKNOWN') lost = error
        const delayMs = pauseMs(failures, this.#random)
        // Once an answer was lost, a later definite failure no longer proves that nothing was stored.
        if (this.#timers.now() + delayMs > endsAt) throw lost ?? error
        await new Promise<void>((resolve) => this.#timers.after(delayMs, resolve))
      }
    }
  }

  /** Who waits is told in time; the jobs are held for as long as the store has them. */
  async #bound<T>(call: Promise<T>, ms: number, { jobs, late, moreMs = () => 0 }: Sending): Promise<T> {
    let disarm: (() => void) | undefined
    const over = new Promise<never>((_, reject) => {
      const end = (): void => {
        this.#held += jobs
        const free = (): unknown => (this.#held -= jobs)
        call.then(free, free)
        reject(late())
      }
      disarm = this.#timers.after(ms, () => {
        const more = moreMs()
        if (more > 0) disarm = this.#timers.after(more, end)
        else end()
      })
    })
    try {
      return await Promise.race([call, over])
    } finally {
      disarm?.()
    }
  }

  async #send(jobs: readonly NewJob[], atomic: boolean): Promise<readonly Enqueued[]> {
    let isLost = false
    const chars = jobs.reduce((sum, { payload }) => sum + payload.length, 0)
    const withinMs = this.#deadlineMs + chars / charsPerMs
    const enqueue = async (leftMs: number): Promise<readonly Enqueued[]> => {
      try {
        return await this.#store.enqueue(jobs, { atomic, withinMs: leftMs })
      } catch (error) {
        isLost ||= ForgeError.is(error, 'OUTCOME_UNKNOWN')
        throw error
      }
    }
    const answers = await this.#retry(enqueue, { jobs: jobs.length, withinMs, lastWordMs, late: notAnswered })
    if (!isLost) return answers
    // What an earlier call of these stored before its answer was lost is no duplicate.
    return answers.map((one, i) => ('duplicate' in one && one.id === jobs[i]!.id ? { ...one, duplicate: false } : one))
  }
}

const notOpened = (): ForgeError =>
  new ForgeError('STORE_UNAVAILABLE', 'the store did not open in time; nothing was sent to it')

const notAnswered = (): ForgeError => new ForgeError('OUTCOME_UNKNOWN', 'the store did not answer in time')

function answer({ resolve, reject }: Waiting, enqueued: Enqueued): void {
  try {
    refuse(enqueued)
    resolve(enqueued as Accepted)
  } catch (error) {
    reject(error)
  }
}

/** Throws what a refusal says; `at` is the place in the caller's list. */
function refuse(enqueued: Enqueued, at?: string): void {
  if (!('refused' in enqueued) || enqueued.refused.code === 'BATCH_REFUSED') return
  const { code, message, holder } = enqueued.refused
  // Where a key is held, the job that there is to speak of is its holder.
  const about = holder === undefined ? { id: enqueued.id } : { id: holder, holder }
  if (at === undefined) throw new ForgeError(code, message, about)
  throw new ForgeError(code, `${at}: ${message}`, { ...about, problems: [{ path: at, message }] })
}

/** Each caller learns the id of its own job. */
const forJob = (error: unknown, id: string): unknown => {
  if (!ForgeError.is(error)) return error
  const isUnknown = error.code === 'OUTCOME_UNKNOWN'
  const message = isUnknown ? `whether the job is stored is not known; enqueue it again with id ${id}` : error.message
  return new ForgeError(error.code, message, { cause: error, id })
}

const unknownProgress = (cause: ForgeError, stored: number, all: number): ForgeError => {
  const known =
    stored === 0 ? `whether the ${all} jobs are stored` : `${stored} of the ${all} jobs are stored, of the others it`
  const advice = 'a call whose jobs have ids of their own can be made again, and makes no second job of any'
  return new ForgeError('OUTCOME_UNKNOWN', `${known} is not known; ${advice}`, { cause })
}

const tellProgress = (error: unknown, stored: number, all: number): unknown => {
  if (ForgeError.is(error, 'OUTCOME_UNKNOWN')) return unknownProgress(error, stored, all)
  return ForgeError.is(error) && stored > 0
    ? new ForgeError(error.code, `${error.message} (${stored} of the ${all} jobs are stored)`, {
        cause: error,
        ...(error.id !== undefined && { id: error.id }),
        ...(error.holder !== undefined && { holder: error.holder }),
        ...(error.problems !== undefined && { problems: error.problems }),
      })
    : error
}
