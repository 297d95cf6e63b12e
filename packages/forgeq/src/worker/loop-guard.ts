// What the executor tells whoever watches the event loop from outside of it, so that a loop that stands still can be told
// from a busy one, and the handler that holds it from those that wait for it.

/** A handler that was called. */
export interface Guarded {
  readonly job: string
  /** How long until its limits are over, its grace included; `Infinity`: it has none. */
  readonly leftMs: () => number
}

export interface LoopGuard {
  /** The event loop stands still unless this is called again within `ms`; `Infinity`: it need not be. */
  readonly expectWithin: (ms: number) => void
  /** Calls a handler. What goes on after it has waited for something is its doing, too. */
  readonly call: <T>(guarded: Guarded, handler: () => T) => T
}
