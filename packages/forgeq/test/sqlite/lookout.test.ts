// When the file is looked at, with timers moved by hand and a real file that the system watches.
import assert from 'node:assert/strict'
import { appendFileSync, watch, writeFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Lookout } from '#src/sqlite/lookout.js'
import { temporaryFile } from './files.ts'

interface Scene {
  readonly lookout: Lookout
  looks: number
  /** What the next looks say: whether another process has written. */
  found: boolean
  readonly pass: (ms: number) => void
  /** Writes as others do, and resolves when the system has told of it. */
  readonly write: () => Promise<void>
}

function scene(t: TestContext, withFile = true): Scene {
  const path = temporaryFile(t)
  const wal = `${path}-wal`
  // Events come in the order of the writes: when this one's has come, those before it have.
  const marker = `${path}-marker`
  writeFileSync(marker, '')
  if (withFile) writeFileSync(wal, '')
  let now = 0
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(performance, 'now', () => now)
  const it: Scene = {
    looks: 0,
    found: false,
    lookout: new Lookout(path, { isNeeded: () => true, look: () => (it.looks++, it.found) }),
    pass(ms) {
      for (let i = 0; i < ms; i++) {
        now++
        t.mock.timers.tick(1)
      }
    },
    async write() {
      const told = new Promise<void>((resolve) => {
        const watcher = watch(marker, () => {
          watcher.close()
          resolve()
        })
      })
      appendFileSync(wal, 'x')
      appendFileSync(marker, 'x')
      await told
      await setImmediate()
    },
  }
  t.after(() => it.lookout.stop())
  return it
}

const looksIn = (it: Scene, ms: number): number => {
  const before = it.looks
  it.pass(ms)
  return it.looks - before
}

test('after activity it looks every 2 ms for 100 ms, then ever less, every 15 ms at last', (t) => {
  const it = scene(t, false)
  it.lookout.stir()
  assert.equal(looksIn(it, 100), 50)
  it.pass(100)
  assert.equal(looksIn(it, 150), 10)
  it.lookout.stir()
  assert.equal(looksIn(it, 100), 50)
})

test('where the system tells of writes it looks every 250 ms at last, and at once when told', async (t) => {
  const it = scene(t)
  it.lookout.stir()
  it.pass(200)
  await it.write()
  it.found = true
  assert.equal(looksIn(it, 2), 1, 'told')
  it.found = false
  it.pass(1_000)
  assert.equal(looksIn(it, 1_000), 4)
  await it.write()
  it.found = true
  assert.equal(looksIn(it, 2), 1, 'told again')
})

test('a write that is found untold brings the short intervals back', async (t) => {
  const it = scene(t)
  it.lookout.stir()
  it.pass(200)
  await it.write()
  it.pass(1_000)
  it.found = true
  it.pass(250)
  it.found = false
  it.pass(500)
  assert.equal(looksIn(it, 150), 10)
})

test('what is written here shows once that the system tells, and is overlooked from then on', async (t) => {
  const it = scene(t)
  it.lookout.stir()
  it.pass(200)
  const own = (): Promise<void> => it.lookout.overlook(it.write)
  await own()
  assert.ok(looksIn(it, 100) > 40, 'looked for what it was told of')
  it.pass(1_000)
  await own()
  assert.equal(looksIn(it, 1_000), 4)
})
