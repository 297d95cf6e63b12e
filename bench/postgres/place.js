// Databases: filled once for each subject and number of jobs, then copied for every measurement.
import { asking, logBetween, logPosition, statementsOf } from './count.js'
import { startServer } from './server.js'

export const makePlace = async ({ folder, child }) => {
  const server = await startServer(folder)
  const ask = (...sql) =>
    asking(server.urlOf('postgres'), async (client) => {
      for (const one of sql) await client.query(one)
    })
  await ask('CREATE EXTENSION pg_stat_statements', 'CREATE EXTENSION pg_walinspect')
  const version = await asking(server.urlOf('postgres'), async (client) => {
    const { rows } = await client.query('SHOW server_version')
    return rows[0].server_version
  })

  const templates = new Map()

  /** The tables are there, with the jobs a task wants to find, vacuumed and analyzed. */
  const template = async (subject, { ready = 0, finished = 0 }) => {
    const name = `${subject.id}-${ready}-${finished}`
    if (!templates.has(name)) {
      await ask(`CREATE DATABASE "${name}"`)
      const url = server.urlOf(name)
      await child({ step: 'fill', subject: subject.id, task: { ready, finished }, path: url })
      await vacuum(url)
      templates.set(name, url)
    }
    return name
  }

  let copies = 0

  return {
    facts: { postgres: version },

    async measure(scenario, subject, task, job) {
      const from = await template(subject, task)
      const name = `run-${(copies += 1)}`
      const url = server.urlOf(name)
      await ask(`CREATE DATABASE "${name}" TEMPLATE "${from}" STRATEGY file_copy`)
      try {
        if (scenario.counted) await ask(`ALTER DATABASE "${name}" SET pg_stat_statements.track = 'top'`)
        await ask('SELECT pg_stat_statements_reset()', 'CHECKPOINT')
        const [lsn, cpu] = [await logPosition(url), server.cpuUs()]
        const figures = await child({ ...job, path: url })
        const serverCpu = (server.cpuUs() - cpu) / task.jobs
        if (!scenario.counted) return { ...figures, serverCpu }
        const counted = { statements: await statementsOf(url), ...(await logBetween(url, lsn, await logPosition(url))) }
        const perJob = Object.fromEntries(Object.entries(counted).map(([key, value]) => [key, value / task.jobs]))
        return { ...figures, ...perJob }
      } finally {
        await ask(`DROP DATABASE "${name}" WITH (FORCE)`)
      }
    },
    close: () => server.stop(),
  }
}

const vacuum = async (url) => {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('VACUUM (ANALYZE)')
  await client.end()
}
