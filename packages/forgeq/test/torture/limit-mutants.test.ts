// The checker sees what is wrong with limits and unique keys from histories alone: stores that are wrong in one point each.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Model } from '#src/conformance/model.js'
import { sqlite } from '#src/sqlite/index.js'
import type { ManualClock } from '#src/store/clock.js'
import type { QueueSettings } from '#src/core/limit.js'
import type { NewJob, NewUnique, Settlement } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { holdMutants } from '../conformance/mutants-holds.ts'
import { keyMutants } from '../conformance/mutants-keys.ts'
import { limitMutants } from '../conformance/mutants-limits.ts'
import { uniqueMutants } from '../conformance/unique-mutants.ts'
import { limitedScenery } from './limited-scenery.ts'
import { assertCaught, violated } from './rehearsed.ts'

const model = (clock: ManualClock): Store => new Model(() => clock.now())

const seen = (make: (clock: ManualClock) => Store, seed: number): Promise<string[]> =>
  violated(make, seed, {}, limitedScenery)

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`seed ${seed}: with limits the reference store and SQLite violate nothing`, async () => {
    assert.deepEqual(await seen(model, seed), [])
    assert.deepEqual(await seen((clock) => sqlite(':memory:', { clock, inline: true }), seed), [])
  })
}

const mutants = { ...limitMutants, ...holdMutants, ...keyMutants, ...uniqueMutants }

/** Stores of the conformance suite's mutants -> the invariant that gives them away. */
const stores: Readonly<Record<string, RegExp>> = {
  'counts windows from fixed instants': /^I12 .* queue/,
  'lets a bucket fill up instead of counting': /^I12 .* queue/,
  'notes no start': /^I12 .* level/,
  'knows no concurrency': /^I11 .* queue/,
  'never frees the slot of a job that crashed': /^I22/,
  'knows no concurrency of keys': /^I11 .* key/,
  'knows no turns': /^I24/,
  'forgets the turn at a retry': /^I24/,
  'forgets the turn at a snooze': /^I24/,
  'never lengthens a hold': /^I25/,
  'knows no types that are held back': /^I25/,
  'counts only ready jobs as waiting': /^I26 no more/,
  'counts jobs that waited as waiting': /^I26 a queue is full/,
  'says full when it is closed': /^I26 a queue is full/,
  'holds no unique key': /^I18 one job/,
  'holds a key until the end that was for the start': /^I18 nobody holds/,
  'forgets a window when its job completes': /^I18 one job/,
  'keeps the window of a job that was cancelled': /^I18 nobody holds/,
  'replaces a running job': /^I18 the last/,
}

for (const [name, invariant] of Object.entries(stores)) {
  test(`caught: a store that ${name}`, (t) =>
    assertCaught(t, invariant, (seed) => seen((clock) => mutants[name]!(() => clock.now()), seed)))
}

type Change = Readonly<{ [Name in keyof Store]?: (store: Store) => Store[Name] }>

/** A sound store that is not told all. */
const deaf =
  (change: Change) =>
  (clock: ManualClock): Store => {
    const store = model(clock)
    return new Proxy(store, { get: (it, name: keyof Store) => change[name]?.(store) ?? it[name].bind(it) })
  }

const without = <T extends object, K extends keyof T>(name: K, { [name]: _dropped, ...rest }: T): Omit<T, K> => rest

const hears = (edit: (settings: QueueSettings) => QueueSettings): Change => ({
  setQueue: (store) => (queue, settings) => store.setQueue(queue, edit(settings)),
})

const takes = (edit: (job: NewJob) => NewJob): Change => ({
  enqueue: (store) => (jobs, options) => store.enqueue(jobs.map(edit), options),
})

const settles = (edit: (settlement: Settlement) => Settlement): Change => ({
  exchange: (store) => (request) => store.exchange({ ...request, settlements: request.settlements.map(edit) }),
})

const holding = (job: NewJob, edit: (unique: NewUnique) => NewUnique): NewJob =>
  job.unique === undefined ? job : { ...job, unique: edit(job.unique) }

const wrappers: Readonly<Record<string, readonly [RegExp, Change]>> = {
  'the concurrency of a queue': [/^I11 .* queue/, hears((settings) => without('concurrency', settings))],
  'the rate of a queue': [/^I12 .* queue/, hears((settings) => without('rate', settings))],
  'the rates of levels': [/^I12 .* level/, hears((settings) => without('rates', settings))],
  'the rate of keys': [
    /^I12 .* key/,
    hears(({ perKey, ...rest }) => (perKey ? { ...rest, perKey: { ...perKey, rate: null } } : { ...rest })),
  ],
  'the order of keys': [
    /^I24/,
    hears(({ perKey, ...rest }) => (perKey ? { ...rest, perKey: { ...perKey, ordered: false } } : { ...rest })),
  ],
  'what is held back': [/^I25/, settles((one) => (one.outcome === 'snooze' ? without('holdBack', one) : one))],
  'the depth of a queue': [/^I26 no more/, hears((settings) => without('maxDepth', settings))],
  'that a queue is closed': [/^I26 a closed/, hears((settings) => without('accepting', settings))],
  'the key of a job': [/^I3/, takes((job) => without('key', job))],
  'how long a window is': [
    /^I3/,
    takes((job) => holding(job, (unique) => ('forMs' in unique ? { ...unique, forMs: 1 } : unique))),
  ],
  'what replaces': [
    /^I18 the last/,
    {
      enqueue: (store) => async (jobs, options) => {
        const kept = jobs.map((job) => holding(job, (unique) => ({ ...unique, onConflict: 'keep' })))
        const answers = await store.enqueue(kept, options)
        return answers.map((answer, i) =>
          'duplicate' in answer && answer.id !== jobs[i]!.id && jobs[i]!.unique?.onConflict === 'replace'
            ? { ...answer, replaced: true }
            : answer,
        )
      },
    },
  ],
}

for (const [name, [invariant, change]] of Object.entries(wrappers)) {
  test(`caught: a store that is not told ${name}`, (t) =>
    assertCaught(t, invariant, (seed) => seen(deaf(change), seed)))
}
