// The reference store is a store: it passes the cases that it is the measure of.
import { Model } from '#src/conformance/model.js'
import { ManualClock } from '#src/store/clock.js'
import { runConformance } from './run-conformance.ts'

runConformance(
  'model',
  async () => {
    const clock = new ManualClock()
    const store = new Model(() => clock.now())
    return {
      store,
      now: () => clock.now(),
      advance: async (ms) => clock.advance(ms),
      close: () => store.close(),
    }
  },
  ['notify'],
)
