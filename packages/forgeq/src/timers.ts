// The monotonic clock and the timers of the engine. Tests hand in others and move them by hand.

export interface Timers {
  /** Monotonic milliseconds: deadlines never follow the wall clock. */
  now(): number
  /** Calls `fn` once after `ms`; what it returns cancels that. */
  after(ms: number, fn: () => void): () => void
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
}
