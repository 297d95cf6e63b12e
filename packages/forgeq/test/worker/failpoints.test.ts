// The faults that tests put into the engine: what can be asked for, and that no place is missing or unknown.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { failpoint, failpoints, setFailpoints } from '#src/store/failpoint.js'

const source = fileURLToPath(new URL('../../src', import.meta.url))

const thrown = (times: number): number[] =>
  Array.from({ length: times }, (_, i) => i + 1).filter(() => {
    try {
      failpoint('exchange.after-commit')
      return false
    } catch {
      return true
    }
  })

test('a fault strikes always, the nth time or by chance, at its place only', (t) => {
  t.after(() => setFailpoints(''))
  assert.deepEqual(thrown(2), [])
  setFailpoints('exchange.after-commit=throw')
  assert.deepEqual(thrown(3), [1, 2, 3])
  setFailpoints('exchange.after-commit=throw@2; exchange.after-reply=throw')
  assert.deepEqual(thrown(4), [2])
  setFailpoints('exchange.after-commit=throw@0.5')
  const { length } = thrown(1_000)
  assert.ok(length > 300 && length < 700, `${length} of 1,000`)
  setFailpoints('exchange.before-send=throw')
  assert.deepEqual(thrown(3), [])
})

test('a call that fails before it was sent stored nothing; afterwards nobody knows', (t) => {
  t.after(() => setFailpoints(''))
  setFailpoints('enqueue.before-send=throw;enqueue.after-commit=throw;enqueue.after-reply=throw')
  assert.throws(() => failpoint('enqueue.before-send'), { code: 'STORE_UNAVAILABLE' })
  assert.throws(() => failpoint('enqueue.after-commit'), { code: 'OUTCOME_UNKNOWN' })
  assert.throws(() => failpoint('enqueue.after-reply'), { code: 'OUTCOME_UNKNOWN' })
})

test('a fault stalls its thread', (t) => {
  t.after(() => setFailpoints(''))
  setFailpoints('worker.before-handler=stall(60)')
  const startedAt = performance.now()
  failpoint('worker.before-handler')
  assert.ok(performance.now() - startedAt > 55)
})

test('what cannot be is refused', () => {
  for (const text of [
    'exchange=kill',
    'nowhere.at-all=kill',
    'exchange.after-commit=explode',
    'worker.after-claim=throw',
  ])
    assert.throws(() => setFailpoints(text), { code: 'CONFIG' }, text)
})

test('every name has its place in the sources, once, and every place its name', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('failpoint.ts'),
  )
  const placesIn = (folder: string): string[] =>
    files
      .filter((file) => file.startsWith(folder))
      .flatMap((file) => [...readFileSync(join(source, file), 'utf8').matchAll(/failpoint\([`'](.+?)[`']\)/g)])
      .map(([, name]) => name!)
  const places = placesIn('')
  const momentsIn = (folder: string): string[] =>
    placesIn(join(folder, sep))
      .map((name) => name.replace(/^\$\{.*\}/, ''))
      .sort()
  // In all calls at once: both ways of them for all stores, the commit in each store.
  assert.deepEqual(momentsIn('store'), ['.after-reply', '.before-send'])
  for (const store of ['sqlite', 'postgres']) {
    assert.deepEqual(momentsIn(store), ['.after-commit'])
    assert.match(readFileSync(join(source, store, 'store.ts'), 'utf8'), /extends CallingStore</)
  }
  const moments = ['.after-commit', '.after-reply', '.before-send']
  const steps = places.filter((name) => !name.startsWith('${'))
  const expected = failpoints.filter((name) => !moments.some((moment) => name.endsWith(moment)))
  assert.deepEqual(steps.sort(), expected.sort())
})
