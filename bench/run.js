// The SQLite store and its peers, each measurement on a fresh file.
//
//   npm run bench -- [--quick] [--runs 5] [--only work,life] [--subjects forgeq,plainjob] [--out results/sqlite.json]
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { runBench } from './runner.js'
import { sqliteSubjects } from './subjects/index.js'

/** Sums the column `calls` of strace's summary. */
const countCalls = (summary) =>
  summary
    .split('\n')
    .filter((line) => /fsync|fdatasync/.test(line))
    .reduce((total, line) => total + Number(line.trim().split(/\s+/)[3]), 0)

const makePlace = ({ folder, child }) => {
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

  return {
    async measure(scenario, subject, task, job) {
      const place = mkdtempSync(join(folder, 'run-'))
      try {
        if (task.ready !== undefined) copy(await template(subject, task), place)
        const onFile = { ...job, path: join(place, 'jobs.db') }
        if (!scenario.traced) return await child(onFile)
        const trace = join(place, 'trace')
        const { jobs } = await child(onFile, trace)
        return { syncs: countCalls(readFileSync(trace, 'utf8')) / jobs }
      } finally {
        rmSync(place, { recursive: true, force: true })
      }
    },
    close() {},
  }
}

await runBench({
  scenarios: './scenarios/index.js',
  subjectIds: sqliteSubjects,
  quickSubjects: 'forgeq,forgeq-relaxed,plainjob',
  durabilityIs: 'synchronous=',
  results: 'results/latest.json',
  makePlace,
})
