import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  changeLimits,
  fillOf,
  noKeyLimits,
  noLimits,
  type Rate,
  type RateFill,
  slotsOfKey,
  windowStart,
} from '#src/core/limit.js'

/** How many may start now, given all starts so far. */
type Limiter = (rate: Rate, starts: readonly number[], now: number) => number

const fillAt = (rate: Rate, starts: readonly number[], now: number): RateFill => {
  const counted = starts.filter((at) => at > windowStart(rate, now))
  return fillOf(rate, { count: counted.length, firstAt: counted[0] ?? null })
}

const ours: Limiter = (rate, starts, now) => fillAt(rate, starts, now).left

/** Windows that begin at multiples of their length. */
const fixedWindow: Limiter = ({ max, perMs }, starts, now) => {
  const from = Math.floor(now / perMs) * perMs
  return max - starts.filter((at) => at >= from).length
}

/** A bucket of `max` that fills up evenly: the theoretical arrival time moves on by `perMs / max` with each start. */
const gcra: Limiter = ({ max, perMs }, starts, now) => {
  const each = perMs / max
  let arrivalAt = 0
  for (const at of starts) arrivalAt = Math.max(arrivalAt, at) + each
  return Math.floor((perMs - (Math.max(arrivalAt, now) - now)) / each)
}

/** The most starts in any window of the rate's length, looked for one by one. */
const mostIn = (starts: readonly number[], { perMs }: Rate): number =>
  Math.max(0, ...starts.map((from) => starts.filter((at) => at >= from && at < from + perMs).length))

/** Whether one more start is allowed at `at`: no window then holds more than `max`. */
const isAllowed = (rate: Rate, starts: readonly number[], at: number): boolean =>
  mostIn([...starts, at], rate) <= rate.max

interface Arrival {
  readonly afterMs: number
  readonly jobs: number
}

/** When jobs start that arrive so; who arrives at a closed gate has left when the next ones arrive. */
const startsOf = (limiter: Limiter, rate: Rate, arrivals: readonly Arrival[]): readonly number[] => {
  const starts: number[] = []
  let now = 0
  for (const { afterMs, jobs } of arrivals) {
    now += afterMs
    for (let i = 0; i < jobs && limiter(rate, starts, now) > 0; i++) starts.push(now)
  }
  return starts
}

const rates = fc.record({ max: fc.integer({ min: 1, max: 6 }), perMs: fc.integer({ min: 5, max: 40 }) })

/** Bursts and pauses, many of them around the edges of windows. */
const arrivalsAt = ({ perMs }: Rate): fc.Arbitrary<Arrival[]> =>
  fc.array(
    fc.record({
      afterMs: fc.oneof(
        fc.constantFrom(1, perMs - 1, perMs, perMs + 1, Math.floor(perMs / 2)),
        fc.integer({ min: 0, max: 2 * perMs }),
      ),
      jobs: fc.integer({ min: 1, max: 8 }),
    }),
    { minLength: 1, maxLength: 25 },
  )

const scenes = rates.chain((rate) => fc.tuple(fc.constant(rate), arrivalsAt(rate)))

/** The check: no window holds more than it may, and nobody waits who might start. */
const keepsRate = (limiter: Limiter): fc.IProperty<[[Rate, Arrival[]]]> =>
  fc.property(scenes, ([rate, arrivals]) => {
    const starts = startsOf(limiter, rate, arrivals)
    assert.ok(mostIn(starts, rate) <= rate.max, `${mostIn(starts, rate)} of ${rate.max} started in a window`)
    const exact = startsOf((...given) => Number(isAllowed(...given)), rate, arrivals)
    assert.equal(starts.length, exact.length)
  })

test('no window holds more starts than a rate allows, and nobody waits who might start', () => {
  fc.assert(keepsRate(ours), { numRuns: 500 })
})

for (const [name, limiter] of Object.entries({ 'a fixed window': fixedWindow, 'a bucket that fills up': gcra })) {
  test(`the same check finds that ${name} lets too many through`, () => {
    const { failed, errorInstance } = fc.check(keepsRate(limiter), { numRuns: 500, seed: 1 })
    assert.ok(failed, 'it was not found')
    assert.match(String(errorInstance), /started in a window/)
  })
}

test('bursts at the edge of a window let a fixed one through twice, and a bucket almost twice', () => {
  const rate = { max: 10, perMs: 100 }
  const atEdge = [
    { afterMs: 99, jobs: 10 },
    { afterMs: 1, jobs: 10 },
  ]
  const always = Array.from({ length: 300 }, () => ({ afterMs: 1, jobs: 10 }))
  assert.equal(mostIn(startsOf(fixedWindow, rate, atEdge), rate), 20)
  assert.equal(mostIn(startsOf(gcra, rate, always), rate), 19)
  for (const arrivals of [atEdge, always]) assert.equal(mostIn(startsOf(ours, rate, arrivals), rate), 10)
})

test('with jobs at any time exactly as many start in each window as it allows', () => {
  fc.assert(
    fc.property(rates, ({ max, perMs }) => {
      const always = Array.from({ length: 5 * perMs }, () => ({ afterMs: 1, jobs: max }))
      const starts = startsOf(ours, { max, perMs }, always)
      for (let window = 0; window < 5; window++) {
        const from = 1 + window * perMs
        assert.equal(starts.filter((at) => at >= from && at < from + perMs).length, max)
      }
    }),
    { numRuns: 50 },
  )
})

test('what is left, and when there is room again, is what one finds by trying', () => {
  fc.assert(
    fc.property(scenes, fc.nat({ max: 80 }), ([rate, arrivals], laterMs) => {
      const starts = startsOf(ours, rate, arrivals)
      const now = (starts.at(-1) ?? 0) + (laterMs % rate.perMs)
      const tried: number[] = [...starts]
      while (isAllowed(rate, tried, now)) tried.push(now)
      const left = tried.length - starts.length
      let opensAt: number | null = null
      for (let at = now; left === 0 && opensAt === null; at++) if (isAllowed(rate, starts, at)) opensAt = at
      assert.deepEqual(fillAt(rate, starts, now), { left, opensAt })
    }),
    { numRuns: 300 },
  )
})

test('a rate that was lowered below what has started leaves nothing, not less', () => {
  assert.deepEqual(fillOf({ max: 2, perMs: 100 }, { count: 5, firstAt: 40 }), { left: 0, opensAt: 140 })
  assert.deepEqual(fillOf({ max: 2, perMs: 100 }, { count: 0, firstAt: null }), { left: 2, opensAt: null })
})

test('settings change what they name and leave the rest', () => {
  const rate = { max: 1, perMs: 1000 }
  const perKey = { concurrency: 1, rate: null, ordered: true }
  const all = changeLimits(noLimits, { concurrency: 3, rate, rates: { 2: rate, 8: rate }, perKey, maxDepth: 5 })
  assert.deepEqual(all, { concurrency: 3, rate, rates: { 2: rate, 8: rate }, perKey, maxDepth: 5 })
  assert.deepEqual(changeLimits(all, {}), all)
  assert.deepEqual(changeLimits(all, { paused: true, accepting: false }), all)
  assert.deepEqual(changeLimits(all, { rates: { 2: null, 5: rate } }).rates, { 5: rate, 8: rate })
  assert.deepEqual(changeLimits(all, { perKey: { concurrency: null, rate } }).perKey, {
    concurrency: null,
    rate,
    ordered: true,
  })
  assert.throws(() => changeLimits(all, { perKey: { concurrency: 2 } }), { code: 'INVALID_OPTION' })
  const none = { concurrency: null, rate: null, rates: { 2: null, 8: null }, perKey: null, maxDepth: null }
  assert.deepEqual(changeLimits(all, none), noLimits)
})

test('ordered keys have one slot each, whatever their concurrency', () => {
  assert.equal(slotsOfKey(noKeyLimits), null)
  assert.equal(slotsOfKey({ ...noKeyLimits, concurrency: 4 }), 4)
  for (const concurrency of [null, 1, 4]) assert.equal(slotsOfKey({ ...noKeyLimits, concurrency, ordered: true }), 1)
})
