// What is in the store when all is over: through its own calls, and for what must not be there by looking into it.
import { findDriver } from '#src/sqlite/connect.js'
import { fileOf, splitUrl } from '#src/store/url.js'
import { states } from '#src/core/states.js'
import type { JobRecord } from '#src/store/records.js'
import { batchLimit, type Store } from '#src/store/store.js'
import type { Final } from './events.ts'

/** Tables that hold places of jobs which have not ended, and what such jobs hold. */
const mustBeEmpty = ['ready', 'line', 'key_turn', 'parked', 'later', 'running', 'deadline']

/** Tables of what is over at an instant, and the column that says when. */
const mustBeOver = { alarm: 'at', hold: 'until', start: 'until', uniq: 'until' } as const

export async function readFinal(store: Store, url: string, isDrained: boolean): Promise<Final> {
  const { now } = await store.open()
  // As any worker does: what is over is forgotten then.
  await store.promote(batchLimit)
  await store.prune(batchLimit)
  const jobs: JobRecord[] = []
  for (const state of states) {
    let cursor: string | null = null
    do {
      const page = await store.find({ state }, cursor, batchLimit)
      jobs.push(
        ...(await store.jobs(
          page.jobs.map(({ id }) => id),
          ['attempts'],
        )),
      )
      cursor = page.cursor
    } while (cursor !== null)
  }
  const [queues, workers] = await Promise.all([store.queues(), store.workers()])
  return { now: (await store.open()).now, jobs, queues, workers, leftovers: leftoversIn(url, now), isDrained }
}

function leftoversIn(url: string, now: number): string[] {
  const { driver } = findDriver(false)
  const db = new driver.DatabaseSync(fileOf(splitUrl(url)!))
  try {
    const count = (sql: string): number => Number((db.prepare(sql).get() as { n: number }).n)
    const over = Object.entries(mustBeOver)
      .map(([table, at]) => [table, count(`SELECT count(*) AS n FROM forgeq_${table} WHERE ${at} <= ${now}`)] as const)
      .filter(([, n]) => n > 0)
      .map(([table, n]) => `${n} rows in ${table} that are over`)
    const held = count('SELECT count(*) AS n FROM forgeq_uniq WHERE until IS NULL')
    const rows = mustBeEmpty
      .map((table) => [table, count(`SELECT count(*) AS n FROM forgeq_${table}`)] as const)
      .filter(([, n]) => n > 0)
      .map(([table, n]) => `${n} rows in ${table}`)
    const bodies = count('SELECT count(*) AS n FROM forgeq_job')
    const ended = count('SELECT count(*) AS n FROM forgeq_done')
    const sound = (db.prepare('PRAGMA integrity_check').get() as { integrity_check: string }).integrity_check
    return [
      ...rows,
      ...over,
      ...(held === 0 ? [] : [`${held} unique keys are held by jobs that have ended`]),
      ...(bodies === ended ? [] : [`${bodies} bodies of jobs, ${ended} ends of jobs`]),
      ...(sound === 'ok' ? [] : [`integrity: ${sound}`]),
    ]
  } finally {
    db.close()
  }
}
