// The checker against histories of limits and unique keys written by hand: sound ones, and for every invariant those that
// violate it and no other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noKeyLimits, noLimits, type Scope } from '#src/core/limit.js'
import { limitInvariants } from './check.ts'
import { Story } from './story.ts'

const rate = { max: 2, perMs: 100 }
const inOrder = { perKey: { ...noKeyLimits, ordered: true } }
const replaces = (payload: string) => ({ payload, unique: { key: 'r', until: 'done' }, replaces: true }) as const
const window = { unique: { key: 'w', forMs: 100 } }

/** Jobs a, b, c, ... of a key or none that start at the instants of `starts` and take so long each. */
function started(story: Story, starts: readonly number[], tookMs: number, facts: object = {}): Story {
  for (const [i, at] of starts.entries()) {
    const id = 'abcdef'[i]!
    story.job(i + 1, id, facts).claim(id, 10 + i, at, at + tookMs, 'complete')
  }
  return story
}

const limited = (settings: Parameters<Story['limit']>[1]): Story => new Story().limit(0, settings)

/** One that holds back until 300, and another one that starts at `startAt`. */
const heldBack = (scope: Scope, startAt: number, facts: object = {}): Story =>
  new Story()
    .job(1, 'a', { key: 'k' })
    .job(2, 'b', { key: 'k', ...facts })
    .claim('a', 10, 50, 100, 'snooze', { pid: 10, settled: { holdBack: scope, delayMs: 200 } })
    .claim('b', 10, startAt, startAt + 10, 'complete')
    .claim('a', 10, 300, 310, 'complete')

const replaced = (ran: string, last: string): Story =>
  new Story()
    .job(1, 'a', { unique: { key: 'r', until: 'done' } })
    .ask(10, 'b', replaces('"one"'), { id: 'a', replaced: true })
    .ask(20, 'c', { ...replaces('"two"'), delayMs: 50 }, { id: 'a', replaced: true })
    .change('a', { payload: ran })
    .claim('a', 10, 80, 90, 'complete')
    .change('a', { payload: last })

const stories: Readonly<Record<string, readonly [violated: string, story: Story]>> = {
  'three of a queue ran where two may': [
    'I11 never more of a queue run at a time than may',
    started(limited({ concurrency: 2 }), [10, 20, 30], 25),
  ],
  'two of a key ran where one may': [
    'I11 never more of a key run at a time than may',
    started(limited({ perKey: { ...noKeyLimits, concurrency: 1 } }), [10, 20], 15, { key: 'k' }),
  ],
  'a queue started three in a window of two': [
    'I12 no window of a queue holds more starts than its rate',
    started(limited({ rate }), [10, 50, 109], 5),
  ],
  'a level started three in a window of two': [
    'I12 no window of a level holds more starts than its rate',
    started(limited({ rates: { 5: rate } }), [10, 50, 109], 5),
  ],
  'a key started three in a window of two': [
    'I12 no window of a key holds more starts than its rate',
    started(limited({ perKey: { ...noKeyLimits, rate } }), [10, 50, 109], 5, { key: 'k' }),
  ],
  'a job of a key went before an older one': [
    'I14 the jobs of a key start in their order',
    started(limited({ perKey: null }), [30, 20], 5, { key: 'k' }),
  ],
  'a key had two holders': [
    'I18 one job at a time holds a key',
    new Story()
      .job(1, 'a', window)
      .claim('a', 10, 10, 20, 'complete')
      .job(50, 'b', window)
      .claim('b', 10, 60, 70, 'complete'),
  ],
  'a job held its window beyond its time': [
    'I18 nobody holds a key beyond its time',
    new Story().job(1, 'a', window).claim('a', 10, 10, 20, 'complete').ask(102, 'b', window, { id: 'a' }),
  ],
  'a job held its key after it had ended': [
    'I18 nobody holds a key beyond its time',
    new Story()
      .job(1, 'a', { unique: { key: 'd', until: 'done' } })
      .claim('a', 10, 10, 20, 'complete')
      .ask(21, 'b', { unique: { key: 'd', until: 'done' } }, { id: 'a' }),
  ],
  'a replacement ran before the last one': ['I18 the last replacement is what runs', replaced('"one"', '"one"')],
  'what ran was replaced afterwards': ['I18 the last replacement is what runs', replaced('"one"', '"two"')],
  'a replacement ran before its delay was over': [
    'I20 nothing starts before the delay of what replaced it is over',
    new Story()
      .job(1, 'a', { unique: { key: 'r', until: 'done' } })
      .ask(10, 'b', { ...replaces('"one"'), delayMs: 50 }, { id: 'a', replaced: true })
      .change('a', { payload: '"one"' })
      .claim('a', 10, 59, 90, 'complete'),
  ],
  'a store counted a start too few': [
    'I23 what is left of a rate is what its starts leave',
    Object.assign(started(limited({ rate }), [950], 5), {
      record: { limits: { ...noLimits, rate }, fill: { rate: { left: 2, opensAt: null }, rates: {} } },
    }),
  ],
  'a job of an ordered key began while the one before it waited for its retry': [
    'I24 the next job of an ordered key starts when the one before it has ended',
    limited(inOrder)
      .job(1, 'a', { key: 'k' })
      .job(2, 'b', { key: 'k' })
      .claim('a', 10, 10, 20, 'retry')
      .claim('b', 10, 30, 40, 'complete')
      .claim('a', 10, 50, 60, 'complete'),
  ],
  'a job began although its queue was held back': [
    'I25 what is held back starts nothing',
    heldBack('queue', 299, { key: 'other', type: 'other' }),
  ],
  'a job began although its type was held back': [
    'I25 what is held back starts nothing',
    heldBack('type', 299, { key: 'other' }),
  ],
  'a job began although its key was held back': [
    'I25 what is held back starts nothing',
    heldBack('key', 299, { type: 'other' }),
  ],
  'three waited where two may': [
    'I26 no more are accepted than may wait',
    started(limited({ maxDepth: 2 }), [10, 20, 30], 5),
  ],
  'a queue was full with one of two': [
    'I26 a queue is full only when it is',
    started(limited({ maxDepth: 2 }), [50], 5).ask(20, 'x', {}, { code: 'QUEUE_FULL' }),
  ],
  'a queue was full without a limit': [
    'I26 a queue is full only when it is',
    limited({ maxDepth: null }).ask(20, 'x', {}, { code: 'QUEUE_FULL' }),
  ],
  'a closed queue took a job': [
    'I26 a closed queue takes nothing, an open one does',
    started(limited({ accepting: false }), [10], 5),
  ],
  'an open queue took none': [
    'I26 a closed queue takes nothing, an open one does',
    limited({ accepting: true }).ask(20, 'x', {}, { code: 'QUEUE_CLOSED' }),
  ],
}

for (const [name, [violated, story]] of Object.entries(stories)) {
  test(`seen: ${name}`, () => assert.deepEqual(story.violatedInFull(), [violated]))
}

const sound: Readonly<Record<string, Story>> = {
  'two at a time, the third in the instant of an end': started(limited({ concurrency: 2 }), [10, 20, 25], 15),
  'a window that begins when the last one has ended': started(limited({ rate }), [10, 50, 110, 150], 5),
  'what ran before its limit was lowered': started(new Story(), [10, 20, 30], 15).limit(40, { concurrency: 1 }),
  'starts under two rates': started(
    limited({ rate }).limit(40, { rate: { max: 3, perMs: 100 } }),
    [10, 20, 50, 60, 70],
    5,
  ),
  'keys that overlap each other': limited(inOrder)
    .job(1, 'a', { key: 'k' })
    .job(2, 'b', { key: 'other' })
    .claim('a', 10, 10, 30, 'retry')
    .claim('b', 11, 20, 40, 'complete')
    .claim('a', 10, 50, 60, 'complete'),
  'jobs that begin when the hold is over': heldBack('queue', 300),
  'others than those of a key that is held back': heldBack('key', 150, { key: 'other' }),
  'a window that is over, and one of a cancelled job': new Story()
    .job(1, 'a', window)
    .claim('a', 10, 10, 20, 'complete')
    .job(101, 'b', window)
    .change('b', { state: 'cancelled', finishedAt: 110 })
    .job(111, 'c', window)
    .claim('c', 10, 120, 130, 'complete'),
  'the last of two replacements': replaced('"two"', '"two"'),
  'a refusal by a queue that was full': started(limited({ maxDepth: 1 }), [50], 5).ask(
    20,
    'x',
    {},
    { code: 'QUEUE_FULL' },
  ),
  'a refusal while the limit changed': limited({ maxDepth: 1 })
    .limit(20, { maxDepth: 9 })
    .ask(20, 'x', {}, { code: 'QUEUE_FULL' }),
}

for (const [name, story] of Object.entries(sound)) {
  test(`sound: ${name}`, () => assert.deepEqual(story.violatedInFull(), []))
}

test('every invariant of limits and unique keys has a history that violates it', () => {
  const seen = Object.values(stories).map(([violated]) => violated)
  assert.deepEqual(new Set(seen), new Set(limitInvariants))
})
