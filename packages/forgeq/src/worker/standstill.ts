// Decides when an event loop that stands still has to be ended, and whose handler is to blame. One that is just being
// called is known by what the main thread wrote down before; one that has waited for something is known by its own word,
// which it can give as long as it is in JavaScript. Only its own limits count for it: what waits beside it may be late.
import { calledUntil, expectedBy, noLimit, type Testimony, type WatchdogData } from './watchdog.ts'
import type { Look } from './look.ts'

/** When it cannot be seen who holds the event loop: so long after others should have had it. */
const doubtNs = 5_000_000_000n

export interface Seen extends Omit<Look, 'told'> {
  readonly told?: Testimony
}

export interface Judging {
  /** In nanoseconds of the monotonic clock. */
  readonly now: () => bigint
  /** Looks at the main thread, which may be in the middle of anything. */
  readonly look: (stack: boolean) => Promise<Seen>
  /** The process has to be ended; said once. `blocker`: the job whose handler holds the event loop, `null`: not known. */
  readonly isOver: (blocker: string | null, seen: Seen) => void
}

interface Suspicion {
  /** When the event loop should have moved on. While it stands still this does not change. */
  readonly by: bigint
  /** Nothing to be decided before. */
  judgeAt: bigint
}

interface Blocker {
  readonly job: string
  readonly overAt: bigint
}

export class Standstill {
  readonly #data: Pick<WatchdogData, 'instants' | 'calledJob'>
  readonly #host: Judging
  #suspicion: Suspicion | undefined
  #isJudging = false
  #isOver = false

  constructor(data: Pick<WatchdogData, 'instants' | 'calledJob'>, host: Judging) {
    this.#data = data
    this.#host = host
  }

  /** Whose handler is being called, and has not waited for anything yet. */
  get called(): Blocker | undefined {
    const overAt = Atomics.load(this.#data.instants, calledUntil)
    return overAt === 0n ? undefined : { job: Buffer.from(this.#data.calledJob).toString('latin1'), overAt }
  }

  /** To be called again and again. */
  check(): void {
    const by = this.#expectedBy
    const now = this.#host.now()
    if (by === 0n || now <= by) {
      this.#suspicion = undefined
    } else if (this.#suspicion?.by !== by) {
      // One look alone proves nothing: a process that was stopped and goes on is late by any clock.
      this.#suspicion = { by, judgeAt: 0n }
    } else if (!this.#isJudging && !this.#isOver && now > this.#suspicion.judgeAt) {
      this.#isJudging = true
      this.#judge(this.#suspicion)
        .catch((error: unknown) => this.#end(this.called, { failure: String(error) }))
        .finally(() => (this.#isJudging = false))
    }
  }

  async #judge(suspicion: Suspicion): Promise<void> {
    const { look } = this.#host
    let blocker = this.called ?? (await this.#ask(suspicion))
    if (this.#isWaitedFor(suspicion, blocker)) return
    const seen = await look(true)
    blocker = this.called ?? this.#blockerIn(seen)
    // It may have come to itself meanwhile.
    if (this.#expectedBy === suspicion.by && !this.#isWaitedFor(suspicion, blocker)) this.#end(blocker, seen)
  }

  #end(blocker: Blocker | undefined, seen: Seen): void {
    this.#isOver = true
    this.#host.isOver(blocker?.job ?? null, seen)
  }

  async #ask({ by }: Suspicion): Promise<Blocker | undefined> {
    return this.#host.now() > by + doubtNs ? undefined : this.#blockerIn(await this.#host.look(false))
  }

  #isWaitedFor(suspicion: Suspicion, blocker: Blocker | undefined): boolean {
    suspicion.judgeAt = blocker?.overAt ?? suspicion.by + doubtNs
    return this.#host.now() <= suspicion.judgeAt
  }

  #blockerIn({ told }: Seen): Blocker | undefined {
    if (told === undefined || told.blocker === null) return undefined
    const { job, leftMs } = told.blocker
    return { job, overAt: leftMs === null ? noLimit : this.#host.now() + BigInt(Math.ceil(leftMs * 1e6)) }
  }

  get #expectedBy(): bigint {
    return Atomics.load(this.#data.instants, expectedBy)
  }
}
