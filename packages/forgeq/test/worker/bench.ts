// A forge on a store in memory whose time stands still, with every call to the store in a test's hand.
import type { EngineEvents } from '#src/core/events.js'
import { sqlite } from 'forgeq/sqlite'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { ForgeQ, type ForgeOptions } from 'forgeq'
import { TappedStore } from './tap.ts'

export interface Bench {
  readonly forge: ForgeQ
  readonly tapped: TappedStore
  readonly advance: (ms: number) => Promise<void>
  /** The next event of this name that `wanted` takes. */
  readonly next: <E extends keyof EngineEvents>(
    name: E,
    wanted?: (event: EngineEvents[E]) => boolean,
  ) => Promise<EngineEvents[E]>
  readonly close: () => Promise<void>
}

export function bench(options: Omit<ForgeOptions, 'store' | 'timers'> = {}): Bench {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const tapped = new TappedStore(sqlite(':memory:', { inline: true, clock }))
  const forge = new ForgeQ({ ...options, store: tapped.store, timers })
  return {
    forge,
    tapped,
    advance: (ms) => timers.advance(ms),
    next: (name, wanted = () => true) =>
      new Promise((resolve) => {
        const stop = forge.on(name, (event) => {
          if (!wanted(event)) return
          stop()
          resolve(event)
        })
      }),
    close: () => forge.close(),
  }
}

/** Something a test waits for and another part of it lets happen. */
export class Gate {
  readonly opened: Promise<void>
  open: () => void = () => {}

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve
    })
  }
}
