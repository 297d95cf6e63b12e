// Random commands as data: numbers that twin.ts turns into calls, so that what fast-check shrinks still makes sense.
import fc from 'fast-check'
import type { Stuck } from '#src/store/records.js'

const index = fc.nat({ max: 11 })
const queue = fc.constantFrom('a', 'b')
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })

const newJob = fc.record({
  type: fc.constantFrom('work', 'work', 'mail', 'strange'),
  queue,
  priority: fc.constantFrom(2, 5, 5, 9),
  delayMs: rarely(fc.constantFrom(0, 1000, 4000, 20_000)),
  expireMs: rarely(fc.constantFrom(1000, 6000)),
  unique: rarely(fc.constantFrom('u', 'v')),
  tags: fc.constantFrom([], ['x'], ['x', 'y']),
  keepResultMs: fc.constantFrom(0, 5000, 3_600_000),
  maxAttempts: fc.constantFrom(1, 3),
  /** Sends the id of an earlier job again: as it was, or with another payload. */
  again: rarely(fc.record({ index, isSame: fc.boolean() })),
  hasBadId: fc.nat({ max: 19 }).map((n) => n === 0),
})

const note = fc.record({ index, isStale: fc.boolean(), done: fc.nat({ max: 9 }), lines: fc.nat({ max: 2 }) })

const settlement = fc.record({
  index,
  /** Any claim there ever was, not one that the worker holds. */
  isStale: fc.nat({ max: 2 }).map((n) => n === 0),
  outcome: fc.constantFrom('complete', 'complete', 'retry', 'snooze', 'release', 'bury', 'cancel', 'crash'),
  delayMs: fc.constantFrom(0, 0, 2000, 10_000),
  hasError: fc.boolean(),
  hasFollowUp: fc.boolean(),
  isPoison: fc.boolean(),
})

const stuck: Stuck = { over: 'limit', blocker: null }
const end = rarely(
  fc.record({ exitCode: fc.constant(1), signal: fc.constant(null), stuck: fc.constantFrom(null, stuck) }),
)

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('enqueue'),
      jobs: fc.array(newJob, { minLength: 1, maxLength: 4 }),
      atomic: fc.boolean(),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('exchange'),
      worker: index,
      settlements: fc.array(settlement, { maxLength: 3 }),
      wants: fc.uniqueArray(fc.record({ queue, slots: fc.nat({ max: 3 }) }), { selector: (want) => want.queue }),
      slots: fc.nat({ max: 5 }),
      suspects: fc.constantFrom(undefined, 'together', 'apart', 'apart', 'alone', 'alone', 'skip'),
      suspectSlots: rarely(fc.nat({ max: 2 })),
      notes: fc.array(note, { maxLength: 1 }),
      isSentTwice: fc.nat({ max: 5 }).map((n) => n === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat'), worker: index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('goBack'), worker: index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('register'), isExpert: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave'), worker: index, end }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('beat'),
      worker: index,
      notes: fc.array(note, { maxLength: 2 }),
      slots: rarely(fc.constantFrom(5, 7)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('look') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('rescue'),
      how: fc.constantFrom('crash', 'crash', 'crash', 'poison', 'retry', 'release', 'bury'),
      isLate: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('promote') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('prune') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('act'),
      action: fc.constantFrom('cancel', 'retry', 'delete', 'promote'),
      jobs: fc.array(index, { minLength: 1, maxLength: 3 }),
      payload: rarely(fc.constantFrom('{"edited":1}', '{"edited":2}')),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('setWorker'), worker: index, slots: fc.constantFrom(5, 7, 9) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('setQueue'), queue, paused: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1, 500, 1000, 5000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('stay away'), ms: fc.constantFrom(20_000, 700_000, 90_000_000) }),
  },
)

export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

export const commands: fc.Arbitrary<Command[]> = fc.array(command, { maxLength: 50, size: 'max' })
