// Random commands as data: numbers that twin.ts turns into calls, so that what fast-check shrinks still makes sense.
import fc from 'fast-check'
import type { Stuck } from '#src/store/worker-record.js'

const index = fc.nat({ max: 11 })
const queue = fc.constantFrom('a', 'b')
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })

const unique = fc
  .record({
    key: fc.constantFrom('u', 'v'),
    hold: fc.constantFrom(
      { until: 'done' } as const,
      { until: 'start' } as const,
      { forMs: 1500 } as const,
      { forMs: 20_000 } as const,
      // Longer than any job is kept.
      { forMs: 100_000_000 } as const,
    ),
    onConflict: fc.constantFrom('keep', 'replace', 'replace', 'error'),
  })
  .map(({ key, hold, onConflict }) => ({ key, ...hold, onConflict }))

const newJob = fc.record({
  type: fc.constantFrom('work', 'work', 'mail', 'strange'),
  queue,
  priority: fc.constantFrom(2, 5, 5, 9),
  delayMs: rarely(fc.constantFrom(0, 1000, 4000, 20_000)),
  expireMs: rarely(fc.constantFrom(1000, 6000)),
  unique: rarely(unique),
  key: fc.constantFrom(undefined, 'k', 'k', 'l'),
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
  followUpKey: rarely(fc.constantFrom('k', 'l')),
  /** Together with a delay only: a hold of no time is none. */
  holdBack: rarely(fc.constantFrom('key', 'type', 'queue')),
  followUpUnique: rarely(unique),
  isPoison: fc.boolean(),
})

const orNone = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: value })
const few = fc.integer({ min: 1, max: 3 })
const rate = orNone(fc.record({ max: few, perMs: fc.constantFrom(1000, 5000) }))

const limits = {
  rate: rarely(rate),
  rates: rarely(fc.dictionary(fc.constantFrom('0', '2', '5', '9'), rate, { maxKeys: 2 })),
  concurrency: rarely(orNone(few)),
  perKey: fc.oneof(
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: orNone(fc.record({ concurrency: orNone(few), rate, ordered: fc.boolean() })) },
  ),
  maxDepth: rarely(orNone(fc.integer({ min: 2, max: 8 }))),
  accepting: rarely(fc.constantFrom(true, true, false)),
  paused: rarely(fc.constantFrom(false, false, true)),
}

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
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move') }) },
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
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('setQueue'), queue, settings: fc.record({ paused: fc.boolean() }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('setQueue'), queue, settings: fc.record(limits) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1, 500, 999, 1000, 5000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('stay away'), ms: fc.constantFrom(20_000, 700_000, 90_000_000) }),
  },
)

export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

export const commands: fc.Arbitrary<Command[]> = fc.array(command, { maxLength: 50, size: 'max' })

// One queue whose jobs have keys, one worker that never leaves, settlements of what runs, limits early: what several of them
// lead to together is met far more often than among all commands.
const busyJob = fc.record({
  type: fc.constantFrom('work', 'work', 'work', 'mail', 'strange'),
  queue: fc.constant('a'),
  priority: fc.constantFrom(2, 5, 5, 5),
  delayMs: rarely(fc.constantFrom(1000)),
  expireMs: rarely(rarely(fc.constantFrom(1000))),
  unique: rarely(unique),
  key: fc.constantFrom(undefined, 'k', 'k', 'k', 'l'),
  tags: fc.constant([] as const),
  keepResultMs: fc.constant(5000),
  maxAttempts: fc.constant(3),
  again: fc.constant(undefined),
  hasBadId: fc.constant(false),
})

const busyEnqueue = fc.record({
  do: fc.constant('enqueue'),
  jobs: fc.array(busyJob, { minLength: 2, maxLength: 4 }),
  atomic: fc.boolean(),
})

const busySettlement = fc.record({
  index,
  isStale: fc.nat({ max: 9 }).map((n) => n === 0),
  outcome: fc.constantFrom('complete', 'retry', 'snooze', 'snooze', 'release', 'bury', 'cancel', 'crash'),
  delayMs: fc.constantFrom(0, 2000, 2000),
  hasError: fc.boolean(),
  hasFollowUp: fc.boolean(),
  followUpKey: fc.constantFrom(undefined, 'k', 'l'),
  followUpUnique: fc.constant(undefined),
  holdBack: fc.constantFrom(undefined, 'key', 'key', 'type', 'queue'),
  isPoison: fc.boolean(),
})

const busySettings = fc.record({
  do: fc.constant('setQueue'),
  queue: fc.constant('a'),
  settings: fc.record({ ...limits, accepting: rarely(limits.accepting), paused: fc.constant(undefined) }),
})

const busyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: busyEnqueue },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('exchange'),
      worker: fc.constantFrom(0, 0, 0, 1, 2),
      settlements: fc.array(busySettlement, { maxLength: 2 }),
      wants: fc.record({ queue: fc.constant('a'), slots: fc.integer({ min: 1, max: 4 }) }).map((want) => [want]),
      slots: fc.constant(5),
      suspects: fc.constantFrom(undefined, undefined, 'together', 'alone', 'apart', 'skip'),
      suspectSlots: rarely(fc.constantFrom(1, 2)),
      notes: fc.array(note, { maxLength: 0 }),
      isSentTwice: fc.nat({ max: 9 }).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: busySettings },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('promote') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1, 500, 999, 1000, 1000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('prune') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('act'),
      action: fc.constantFrom('cancel', 'retry', 'delete', 'promote'),
      jobs: fc.array(index, { minLength: 1, maxLength: 2 }),
      payload: fc.constant(undefined),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('register'), isExpert: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('leave'), worker: fc.constantFrom(1, 2), end: fc.constant(undefined) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('rescue'), how: fc.constantFrom('crash', 'retry'), isLate: fc.boolean() }),
  },
)

export const busyCommands: fc.Arbitrary<Command[]> = fc
  .tuple(busySettings, busyEnqueue, fc.array(busyCommand, { maxLength: 40, size: 'max' }))
  .map(([settings, jobs, rest]) => [settings, jobs, ...rest])
