// The supervisor's own record in the store: a worker without slots that tells how its processes do.
import { hostname } from 'node:os'
import { defaults } from '../core/caps.ts'
import { idSource } from '../core/id.ts'
import type { Crew } from '../store/worker-record.ts'
import type { Store } from '../store/store.ts'
import type { StoreTime } from '../store-time.ts'
import type { Timers } from '../timers.ts'
import { version } from '../version.ts'
import { Lease } from './lease.ts'
import { rssBytes } from './memory.ts'
import { pidSpace } from './pid-space.ts'

export interface CrewRecording {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  readonly time: StoreTime
  readonly crew: () => Crew
  readonly failed: (error: unknown) => void
}

export class CrewRecord {
  readonly #lease: Lease

  constructor(host: CrewRecording) {
    const { store, time, crew } = host
    this.#lease = new Lease({
      ...host,
      ready: async () => time.hear((await store.open()).now),
      newId: idSource(
        () => time.now(),
        (bytes) => void crypto.getRandomValues(bytes),
      ),
      registration: () => ({
        host: hostname(),
        pid: process.pid,
        pidSpace,
        version,
        queues: [],
        types: [],
        slots: 0,
        leaseMs: defaults.leaseMs,
        keepAlive: true,
      }),
      facts: (lateMs) => ({
        slots: 0,
        busy: 0,
        rssBytes: rssBytes(),
        loopLagMs: Math.round(lateMs),
        stuck: 0,
        crew: crew(),
      }),
      heard: (now) => time.hear(now),
      // So that what it tells is there from the start, not from the first beat.
      registered: () => this.tell(),
      ordered: () => {},
      closed: (worker) => this.#lease.lose(worker),
      // Whoever tells of deaths says so.
      unavailable: () => {},
    })
  }

  start(): void {
    this.#lease.start()
  }

  /** Something about the crew has changed. */
  tell(): void {
    this.#lease.beatNow()
  }

  stop(): Promise<void> {
    return this.#lease.stop()
  }
}
