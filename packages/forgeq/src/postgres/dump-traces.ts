// Reads what is there beside jobs, for another store to load: types, keys that are held for a time, what limits remember.
import { writeMark, type ImagePage, type Trace } from '../store/moved.ts'
import { typeOf, type TypeRow } from '../store/rows.ts'
import type { Turn } from './turn.ts'

type Key = readonly (string | number)[]

interface Listing<R> {
  /** Rows in the order of their key, behind the one that the first parameters name. */
  readonly sql: string
  readonly start: Key
  readonly keyOf: (row: R) => Key
  /** `undefined` where there is nothing to tell. */
  readonly traceOf: (row: R, types: ReadonlyMap<number, string>) => Trace | undefined
}

const listing = <R>(one: Listing<R>): Listing<never> => one

interface OfQueue {
  readonly queue: number
  readonly queue_name: string
  readonly what: string
}

const whereOf = (
  { queue_name: queue, what }: OfQueue,
  types: ReadonlyMap<number, string>,
): { queue: string; on: string } => ({
  queue,
  on: onOf(what, types),
})

const onOf = (what: string, types: ReadonlyMap<number, string>): string => {
  if (what.startsWith('t')) return `t${types.get(Number(what.slice(1)))!}`
  // A job that came from SQL: its key is to be looked at, like any other whose alarm is due.
  return what.startsWith('a') ? `k${what.slice(what.indexOf(' ') + 1)}` : what
}

const nameOfQueue = '(SELECT q.name FROM forgeq.queue q WHERE q.id = x.queue) AS queue_name'
const nameOfType = '(SELECT t.name FROM forgeq.type t WHERE t.id = x.type) AS type_name'

const listings: Readonly<Record<string, Listing<never>>> = {
  type: listing<TypeRow & { id: number }>({
    sql: /* sql */ `
    SELECT id, name, queue, priority, policy, schema FROM forgeq.type WHERE announced AND id > $1 ORDER BY id LIMIT $2`,
    start: [-1],
    keyOf: ({ id }) => [id],
    traceOf: (row) => ({ trace: 'type', record: typeOf(row) }),
  }),
  unique: listing<{ type: number; type_name: string; key: string; job: string; until: number | null }>({
    sql: /* sql */ `
    SELECT x.type, x.key, x.job, x.until, ${nameOfType} FROM forgeq.uniq x WHERE (x.type, x.key) > ($1::int, $2::text)
    ORDER BY x.type, x.key LIMIT $3`,
    start: [-1, ''],
    keyOf: ({ type, key }) => [type, key],
    traceOf: ({ type_name: type, key, job, until }) =>
      until === null ? undefined : { trace: 'unique', type, key, job, until },
  }),
  replacement: listing<{ id: string; type_name: string; holder: string; expires_at: number }>({
    sql: /* sql */ `
    SELECT x.id, x.holder, x.expires_at, ${nameOfType} FROM forgeq.replacement x WHERE x.id > $1::uuid ORDER BY x.id LIMIT $2`,
    start: ['00000000-0000-0000-0000-000000000000'],
    keyOf: ({ id }) => [id],
    traceOf: ({ id, type_name: type, holder, expires_at: expiresAt }) => ({
      trace: 'replacement',
      id,
      type,
      holder,
      expiresAt,
    }),
  }),
  hold: listing<OfQueue & { until: number }>({
    sql: /* sql */ `
    SELECT x.queue, x.what, x.until, ${nameOfQueue} FROM forgeq.hold x WHERE (x.queue, x.what) > ($1::int, $2::text)
    ORDER BY x.queue, x.what LIMIT $3`,
    start: [-1, ''],
    keyOf: ({ queue, what }) => [queue, what],
    traceOf: (row, types) => ({ trace: 'hold', ...whereOf(row, types), until: row.until }),
  }),
  alarm: listing<OfQueue & { at: number }>({
    sql: /* sql */ `
    SELECT x.queue, x.what, x.at, ${nameOfQueue} FROM forgeq.alarm x WHERE (x.queue, x.what) > ($1::int, $2::text)
    ORDER BY x.queue, x.what LIMIT $3`,
    start: [-1, ''],
    keyOf: ({ queue, what }) => [queue, what],
    traceOf: (row, types) => ({ trace: 'alarm', ...whereOf(row, types), at: row.at }),
  }),
  starts: listing<OfQueue & { at: number; n: number; total: number; until: number }>({
    sql: /* sql */ `
    SELECT x.queue, x.what, x.at, x.n, x.total, x.until, ${nameOfQueue} FROM forgeq.start x
    WHERE (x.queue, x.what, x.at) > ($1::int, $2::text, $3::bigint) ORDER BY x.queue, x.what, x.at LIMIT $4`,
    start: [-1, '', -1],
    keyOf: ({ queue, what, at }) => [queue, what, at],
    traceOf: (row, types) => {
      const { at, n, total, until } = row
      return { trace: 'starts', ...whereOf(row, types), at, n, total, until }
    },
  }),
}

/** In the order in which they are read. */
export const traceNames: readonly string[] = Object.keys(listings)

const typeNames = /* sql */ `SELECT id, name FROM forgeq.type`

export const dumpTraces = async (turn: Turn, name: string, key: Key, limit: number): Promise<ImagePage> => {
  const { sql, start, keyOf, traceOf } = listings[name] as Listing<unknown>
  const rows = await turn.all<unknown>(sql, ...(key.length === 0 ? start : key), limit)
  const types = new Map(
    (await turn.all<{ id: number; name: string }>(typeNames)).map((row): [number, string] => [row.id, row.name]),
  )
  const next = traceNames[traceNames.indexOf(name) + 1]
  const after = next === undefined ? null : writeMark([next])
  return {
    jobs: [],
    traces: rows.flatMap((row) => traceOf(row as never, types) ?? []),
    cursor: rows.length < limit ? after : writeMark([name, ...keyOf(rows.at(-1))]),
  }
}
