// The monotonic clock and the timers of the engine. Tests hand in others and move them by hand.

export interface Timers {
  /** Monotonic milliseconds: deadlines never follow the wall clock. */
  now(): number
  /** Calls `fn` once after `ms`; what it returns cancels that. */
  after(ms: number, fn: () => void): () => void
}

/** Longer timers overflow and fire at once. */
const longestMs = 2 ** 31 - 1

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, fn) => {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      timer = leftMs > longestMs ? setTimeout(() => wait(leftMs - longestMs), longestMs) : setTimeout(fn, leftMs)
    }
    wait(ms)
    return () => clearTimeout(timer)
  },
}
