// A worker as operators see it: what it says of itself while it works, and how it ended.

/** How a process ended, as who saw it says; `null` where that is not known. */
export interface ProcessEnd {
  readonly exitCode: number | null
  /** The name of the signal that ended it. */
  readonly signal: string | null
}

export interface WorkerEnd extends ProcessEnd {
  /** It had to be ended, for it did not react; `null`: nobody wanted its end. */
  readonly stuck: Stuck | null
}

export interface Stuck {
  /** What did not happen: `limit` a handler ended within its limits · `cancel` that
   * of a cancelled job ended within its grace · `deadline` the process did that was told to stop. */
  readonly over: 'limit' | 'cancel' | 'deadline'
  /** The job whose handler did not let the event loop go on; `null`: that could not be seen. */
  readonly blocker: string | null
}

export interface WorkerFacts {
  /** As many jobs as it runs at a time now. */
  readonly slots: number
  readonly busy: number
  readonly rssBytes: number
  readonly loopLagMs: number
  /** Handlers that ignored their abort and still run. */
  readonly stuck: number
  /** Of a supervisor, which runs no jobs itself. */
  readonly crew?: Crew
}

/** The worker processes of one supervisor. */
export interface Crew {
  readonly processes: number
  /** How many of them work. */
  readonly up: number
  readonly loops: readonly CrashLoop[]
}

/** A process that dies again and again before it has worked for a while. */
export interface CrashLoop {
  /** 1 to the number of processes. */
  readonly place: number
  /** Deaths in a row. */
  readonly failures: number
  /** Of the last death. */
  readonly how: string
  /** When it is started anew; `null`: it is running. */
  readonly nextStartAt: number | null
}

export interface WorkerRecord {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly pidSpace: string | null
  readonly version: string
  readonly queues: readonly string[]
  readonly types: readonly string[]
  /** As registered or set since; how many it works with now is among its facts. */
  readonly slots: number
  readonly leaseMs: number
  readonly startedAt: number
  readonly beatAt: number
  readonly expiresAt: number
  readonly closed: boolean
  readonly held: number
  /** The jobs it holds that were cancelled and have not ended yet. */
  readonly cancelling: readonly string[]
  readonly facts: WorkerFacts | null
}
