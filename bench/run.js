// Runs every scenario with every subject in turn, in fresh processes on fresh files, and writes one table and its JSON.
//
//   npm run bench -- [--quick] [--runs 5] [--only work,life] [--subjects forgeq,plainjob] [--out results/sqlite.json]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hasStrace, lookAtMachine } from './machine.js'
import { checkFloors, legend, relate, summarize, table } from './report.js'
import { scenarioIds, scenarioOf } from './scenarios/index.js'
import { subjectIds, subjectOf } from './subjects/index.js'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    only: { type: 'string' },
    subjects: { type: 'string' },
    out: { type: 'string', default: fileURLToPath(new URL('results/latest.json', import.meta.url)) },
  },
})
const { quick } = options
const runs = Number(options.runs ?? (quick ? 1 : 5))
const chosen = (all, ids) => (ids === undefined ? all : ids.split(','))
const quickSubjects = 'forgeq,forgeq-relaxed,plainjob'
const someSubjects = await Promise.all(
  chosen(subjectIds, options.subjects ?? (quick ? quickSubjects : undefined)).map(subjectOf),
)
const someScenarios = await Promise.all(chosen(scenarioIds, options.only).map(scenarioOf))

const folder = mkdtempSync(join(tmpdir(), 'forgeq-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

/** A fresh process; `trace` counts its fsyncs and those of its threads. */
const child = async (task, trace) => {
  const node = [process.execPath, fileURLToPath(new URL('child.js', import.meta.url)), JSON.stringify(task)]
  const [command, ...args] =
    trace === undefined
      ? node
      : ['strace', '-f', '-qq', '--seccomp-bpf', '-c', '-e', 'trace=fsync,fdatasync', '-o', trace, ...node]
  const running = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  let answer
  running.on('message', (message) => (answer = message))
  const [code, signal] = await once(running, 'close')
  if (answer === undefined)
    throw new Error(`${task.subject} in ${task.scenario} ended with ${signal ?? `code ${code}`}`)
  return answer
}

const templates = new Map()

/** A file with the jobs a task wants to find, filled once. */
const template = async (subject, { ready = 0, finished = 0 }) => {
  const key = `${subject.id}-${ready}-${finished}`
  if (!templates.has(key)) {
    const path = join(folder, `${key}.db`)
    await child({ step: 'fill', subject: subject.id, task: { ready, finished }, path })
    templates.set(key, path)
  }
  return templates.get(key)
}

const copy = (from, to) => {
  for (const name of readdirSync(dirname(from))) {
    if (name.startsWith(basename(from)))
      cpSync(join(folder, name), join(to, `jobs.db${name.slice(basename(from).length)}`))
  }
}

const measure = async (scenario, subject, task) => {
  const place = mkdtempSync(join(folder, 'run-'))
  try {
    if (task.ready !== undefined) copy(await template(subject, task), place)
    const job = { step: 'measure', scenario: scenario.id, subject: subject.id, task, path: join(place, 'jobs.db') }
    if (!scenario.traced) return await child(job)
    const trace = join(place, 'trace')
    const { jobs } = await child(job, trace)
    return { syncs: countCalls(readFileSync(trace, 'utf8')) / jobs }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** Sums the column `calls` of strace's summary. */
const countCalls = (summary) =>
  summary
    .split('\n')
    .filter((line) => /fsync|fdatasync/.test(line))
    .reduce((total, line) => total + Number(line.trim().split(/\s+/)[3]), 0)

const isAbout = (scenario, task, subject) => {
  if (subject.isDefault && !scenario.defaults) return false
  if (scenario.only !== undefined && !scenario.only.includes(subject.id)) return false
  const verbs = [scenario.needs, task.needs]
  return !(verbs.includes('addMany') && subject.hasAddMany === false)
}

const scaled = (task, subject) => {
  if (task.whole) return task
  const part = (count) => Math.max(200, Math.round(count * subject.share))
  return { ...task, ...(task.jobs && { jobs: part(task.jobs) }), ...(task.ready && { ready: part(task.ready) }) }
}

const machine = await lookAtMachine(folder)
console.log(machine.line)
const about = await Promise.all(
  someSubjects.map(async ({ id, title, version, settings, durability, driver }) => ({
    id,
    title,
    version,
    settings,
    durability,
    driver: await driver(),
  })),
)
const measured = []

/** Writes what is measured so far, so that a run that is stopped leaves something. */
const publish = () => {
  const rows = relate(summarize(measured, someScenarios, someSubjects), someScenarios)
  const text = `${table(rows, someSubjects)}\n\n${legend(about)}`
  const floors = checkFloors(rows, someScenarios)
  mkdirSync(dirname(options.out), { recursive: true })
  writeFileSync(options.out, `${JSON.stringify({ machine, runs, quick, subjects: about, floors, rows }, null, 2)}\n`)
  writeFileSync(options.out.replace(/\.json$/, '.md'), `${machine.line}\n\n${text}\n`)
  return { text, floors }
}

for (const scenario of someScenarios) {
  if (scenario.traced && !hasStrace) {
    console.error(`${scenario.id}: left out, strace is not installed`)
    continue
  }
  for (const task of scenario.cases((full, small) => (quick ? small : full))) {
    const contenders = someSubjects.filter((subject) => isAbout(scenario, task, subject))
    for (let run = 0; run < (scenario.traced ? 1 : runs); run += 1) {
      // Another one begins each time, so that nobody always runs after the same neighbour.
      for (let i = 0; i < contenders.length; i += 1) {
        const subject = contenders[(i + run) % contenders.length]
        const scaledTask = scaled(task, subject)
        const figures = await measure(scenario, subject, scaledTask)
        measured.push({
          scenario: scenario.id,
          task: task.name ?? '',
          subject: subject.id,
          jobs: scaledTask.jobs,
          figures,
        })
        const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
        console.error(`${scenario.id} ${task.name ?? ''} · ${subject.id} · run ${run + 1}: ${shown.join(', ')}`)
      }
    }
  }
  publish()
}
const { text, floors } = publish()
console.log(`\n${text}\n\n${floors.map(({ line }) => line).join('\n')}`)
