// Many processes race for the same unique keys, die on the way at different places, and come again with the same ids, losing
// answers then, too: one job for each key, and what replaces replaces once.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { defineJob, typed, type UniqueRule } from 'forgeq'
import { foreignConnection, newId } from '../sqlite/files.ts'
import type { Answer, Entry } from './handlers/rival.ts'
import { handlersFile, scene } from './scene.ts'
import { onlyOnFiles } from './stage-store.ts'

const rivals = 16
const keys = ['a', 'b', 'c']
const modes = {
  'until-done': { until: 'done' },
  'until-start': { until: 'start' },
  window: { for: '1h' },
  error: { onConflict: 'error' },
  replace: { onConflict: 'replace' },
} satisfies Record<string, Omit<UniqueRule, 'key'>>

const entries = (): readonly Entry[] =>
  Object.entries(modes).flatMap(([type, rule]) =>
    keys.map((key) => ({ type, id: newId(), unique: { key, ...rule } as UniqueRule })),
  )

async function run(args: readonly string[], faults: string): Promise<{ signal: string | null; printed: string }> {
  const child = spawn(process.execPath, [handlersFile('rival'), ...args], {
    env: { PATH: process.env['PATH'], FORGEQ_FAILPOINTS: faults },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<string | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)))
  const printed = await text(child.stdout)
  return { signal: await ended, printed }
}

test('16 processes race for the same keys and die: one job for each, replaced once by each', onlyOnFiles, async (t) => {
  const { folder, store, forge } = scene(t)
  await forge.ready()
  const app = foreignConnection(t, `${folder}/.forgeq/forgeq.db`)
  app.exec(`
    CREATE TABLE replaced (job TEXT, payload TEXT);
    CREATE TRIGGER note_replaced AFTER UPDATE OF payload ON forgeq_job
      BEGIN INSERT INTO replaced VALUES (NEW.id, NEW.payload); END`)
  // A job that has ended holds its key on.
  const worker = forge.worker({ handlers: [defineJob('window', { input: typed<string>() }, () => null)] })
  const working = worker.run()

  const places = ['before-send', 'after-commit', 'after-reply']
  const answers = await Promise.all(
    Array.from({ length: rivals }, async (_, n) => {
      const args = [store, `rival ${n}`, JSON.stringify(entries())]
      const dies = `enqueue.${places[n % places.length]}=kill@${1 + (n % (keys.length * 5))}`
      assert.equal((await run(args, dies)).signal, 'SIGKILL')
      const { signal, printed } = await run(args, 'enqueue.after-commit=throw@0.2;enqueue.before-send=throw@0.1')
      assert.equal(signal, null)
      return printed
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Answer)
    }),
  )
  await worker.stop()
  await working

  const { jobs } = await forge.admin.jobs({}, { limit: 1000 })
  assert.equal(jobs.length, keys.length * Object.keys(modes).length)
  for (const job of jobs) {
    const name = `${job.type} ${job.unique?.key}`
    assert.equal(job.state, job.type === 'window' ? 'completed' : 'ready', name)
    const told = answers.flat().filter(({ type, key }) => `${type} ${key}` === name)
    assert.deepEqual([...new Set(told.map(({ id }) => id))], [job.id], name)
    assert.equal(told.length, rivals, name)
    assert.equal(told.filter(({ refused }) => refused).length, job.type === 'error' ? rivals - 1 : 0, name)
    const by = (app.prepare('SELECT payload FROM replaced WHERE job = ?').all(job.id) as { payload: string }[]).map(
      ({ payload }) => payload,
    )
    assert.equal(by.length, job.type === 'replace' ? rivals - 1 : 0, name)
    assert.equal(new Set(by).size, by.length, `${name} was replaced twice by the same enqueue`)
    if (by.length > 0) assert.equal(job.payloadJson, by.at(-1), name)
  }
})
