// What limits and unique keys cost per job: each beside a plain queue, in pairs (plain, feature, feature, plain, ...),
// every run a fresh process on a fresh file. Ratios are made within a pair, so that a noisy machine disturbs both halves.
//
//   npm run bench:limits -- [--quick] [--pairs 6] [--only keys,rate] [--out results/limits.json]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { lookAtMachine } from '../machine.js'
import { features } from './features.js'
import { comparable, legend, median, rowOf, table } from './table.js'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    pairs: { type: 'string' },
    only: { type: 'string' },
    out: { type: 'string', default: fileURLToPath(new URL('../results/limits-latest.json', import.meta.url)) },
  },
})
const { quick } = options
const size = (full, small) => (quick ? small : full)
const pairs = Number(options.pairs ?? size(6, 1))
const chosen = (id) => options.only === undefined || options.only.split(',').includes(id)

const folder = mkdtempSync(join(tmpdir(), 'forgeq-bench-limits-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const child = async (task) => {
  const running = fork(new URL('child.js', import.meta.url), [JSON.stringify(task)])
  let answer
  running.on('message', (message) => (answer = message))
  const [code, signal] = await once(running, 'close')
  if (answer === undefined) throw new Error(`${task.task} ended with ${signal ?? `code ${code}`}`)
  return answer
}

/** On a fresh file, or a fresh copy of one. */
const measure = async (task, from) => {
  const place = mkdtempSync(join(folder, 'run-'))
  try {
    if (from !== undefined) cpSync(from, place, { recursive: true })
    return await child({ ...task, path: join(place, 'jobs.db') })
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

const machine = await lookAtMachine(folder)
console.log(machine.line)
const rows = []
const facts = {}

const sideBySide = async (id, title, plain, other, from) => {
  if (!chosen(id)) return
  const runs = []
  for (let pair = 0; pair < pairs; pair += 1) {
    // Another half begins each time, so that none always runs after the other.
    const isPlainFirst = pair % 2 === 0
    const before = isPlainFirst ? await measure(plain) : undefined
    const within = await measure(other, from)
    const without = before ?? (await measure(plain))
    runs.push({ plain: without, feature: within })
    const told = comparable(runs.at(-1)).map(
      (name) => `${name} ${without[name].toFixed(1)} -> ${within[name].toFixed(1)}`,
    )
    console.error(`${id} · pair ${pair + 1}: ${told.join(', ')}`)
  }
  rows.push(rowOf(id, title, runs))
  return runs
}

const jobs = size(20_000, 5_000)
const plain = { task: 'feature', feature: 'plain', jobs }
for (const { id, title } of features) await sideBySide(id, title, plain, { ...plain, feature: id })

const keys = size(100_000, 10_000)
const waiting = size(1_000_000, 50_000)
if (['beside', 'through'].some(chosen)) {
  const full = join(folder, 'full')
  mkdirSync(full)
  await child({ task: 'fill', path: join(full, 'jobs.db'), keys, waiting })
  const closed = `${waiting.toLocaleString('en')} jobs of ${keys.toLocaleString('en')} closed keys`
  await sideBySide('beside', `plain jobs beside ${closed}`, plain, { task: 'beside', jobs }, full)
  const some = Math.min(jobs, keys)
  const opened = await sideBySide(
    'through',
    `${closed}, opened, one at a time each`,
    plain,
    { task: 'through', jobs: some, keys },
    full,
  )
  if (opened !== undefined)
    facts.review = {
      keys,
      us: median(opened.map(({ feature }) => feature.reviewUs)),
    }
  rmSync(full, { recursive: true })
}

if (chosen('turns')) {
  const [many, few] = [size(100_000, 10_000), 10]
  facts.turns = { many, few, ...(await measure({ task: 'turns', many, few })) }
}
for (const [max, perMs] of [
  [1_000, 1_000],
  [100, 100],
]) {
  if (!chosen('used')) break
  const windows = size(10_000, 3_000) / perMs + 1
  facts[`used ${max}/${perMs}ms`] = { max, perMs, windows, ...(await measure({ task: 'rate', max, perMs, windows })) }
}

const after = { ...machine, loadAfter: loadavg()[0] }
mkdirSync(dirname(options.out), { recursive: true })
writeFileSync(options.out, `${JSON.stringify({ machine: after, pairs, quick, jobs, rows, facts }, null, 2)}\n`)
console.log(`\n${table(rows)}\n\n${legend(facts)}\n\nload after ${after.loadAfter.toFixed(1)}`)
