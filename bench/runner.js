// Runs every scenario with every subject in turn, in fresh processes, and writes one table and its JSON. What a subject works
// on is the place's business: a file, a database.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hasStrace, lookAtMachine } from './machine.js'
import { checkFloors, legend, relate, summarize, table } from './report.js'
import { subjectOf } from './subjects/index.js'

const isAbout = (scenario, task, subject) => {
  if (subject.isDefault && !scenario.defaults) return false
  const lists = [scenario.only, task.only].filter((list) => list !== undefined)
  if (lists.some((list) => !list.includes(subject.id))) return false
  const verbs = [scenario.needs, task.needs]
  return !(verbs.includes('addMany') && subject.hasAddMany === false)
}

const scaled = (task, subject) => {
  if (task.whole) return task
  const part = (count) => Math.max(200, Math.round(count * subject.share))
  return { ...task, ...(task.jobs && { jobs: part(task.jobs) }), ...(task.ready && { ready: part(task.ready) }) }
}

const chosen = (all, ids) => (ids === undefined ? all : ids.split(','))

/**
 * `scenarios` is the path of a module with `scenarioIds` and `scenarioOf`; `makePlace({ folder, child })` gives
 * `{ measure(scenario, subject, task, job), facts, close() }`, where `child(job, trace)` is a fresh process.
 */
export const runBench = async ({ scenarios, subjectIds, quickSubjects, durabilityIs, results, makePlace }) => {
  const { values: options } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      only: { type: 'string' },
      subjects: { type: 'string' },
      out: { type: 'string', default: fileURLToPath(new URL(results, import.meta.url)) },
    },
  })
  const { quick } = options
  const runs = Number(options.runs ?? (quick ? 1 : 5))
  const { scenarioIds, scenarioOf } = await import(scenarios)
  const someSubjects = await Promise.all(
    chosen(subjectIds, options.subjects ?? (quick ? quickSubjects : undefined)).map(subjectOf),
  )
  const someScenarios = await Promise.all(chosen(scenarioIds, options.only).map(scenarioOf))

  const folder = mkdtempSync(join(tmpdir(), 'forgeq-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

  /** A fresh process; `trace` counts its fsyncs and those of its threads. */
  const child = async (job, trace) => {
    const script = fileURLToPath(new URL('child.js', import.meta.url))
    const node = [process.execPath, script, JSON.stringify({ ...job, scenarios })]
    const [command, ...args] =
      trace === undefined
        ? node
        : ['strace', '-f', '-qq', '--seccomp-bpf', '-c', '-e', 'trace=fsync,fdatasync', '-o', trace, ...node]
    const running = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    let answer
    running.on('message', (message) => (answer = message))
    const [code, signal] = await once(running, 'close')
    if (answer === undefined)
      throw new Error(`${job.subject} in ${job.scenario} ended with ${signal ?? `code ${code}`}`)
    return answer
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
  const place = await makePlace({ folder, child })
  const measured = []

  /** Writes what is measured so far, so that a run that is stopped leaves something. */
  const publish = () => {
    const rows = relate(summarize(measured, someScenarios, someSubjects), someScenarios)
    const text = `${table(rows, someSubjects)}\n\n${legend(about, durabilityIs)}`
    const floors = checkFloors(rows, someScenarios)
    const facts = { ...machine, loadAfter: loadavg()[0], ...place.facts }
    mkdirSync(dirname(options.out), { recursive: true })
    writeFileSync(
      options.out,
      `${JSON.stringify({ machine: facts, runs, quick, subjects: about, floors, rows }, null, 2)}\n`,
    )
    const line = `${machine.line}; load after ${facts.loadAfter.toFixed(1)}`
    writeFileSync(options.out.replace(/\.json$/, '.md'), `${line}\n\n${text}\n`)
    return { text, floors }
  }

  for (const scenario of someScenarios) {
    if (scenario.traced && !hasStrace) {
      console.error(`${scenario.id}: left out, strace is not installed`)
      continue
    }
    for (const task of scenario.cases((full, small) => (quick ? small : full))) {
      const contenders = someSubjects.filter((subject) => isAbout(scenario, task, subject))
      for (let run = 0; run < (scenario.once ? 1 : runs); run += 1) {
        // Another one begins each time, so that nobody always runs after the same neighbour.
        for (let i = 0; i < contenders.length; i += 1) {
          const subject = contenders[(i + run) % contenders.length]
          const scaledTask = scaled(task, subject)
          const job = { step: 'measure', scenario: scenario.id, subject: subject.id, task: scaledTask }
          const figures = await place.measure(scenario, subject, scaledTask, job)
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
  await place.close()
  console.log(`\n${text}\n\n${floors.map(({ line }) => line).join('\n')}`)
}
