// Takes in what another store has dumped beside jobs. What is there already is set to what it was there.
import type { Images, Trace } from '../store/moved.ts'
import type { Batch } from './batch.ts'
import { announce } from './lease.ts'
import type { Turn } from './turn.ts'

const addUnique: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.uniq (type, key, job, until) SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[], $4::bigint[])
  ON CONFLICT (type, key) DO NOTHING`,
}
const addReplacement: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.replacement (id, type, holder, expires_at)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[]) ON CONFLICT (id) DO NOTHING`,
}
const setHold: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.hold (queue, what, until) SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[])
  ON CONFLICT (queue, what) DO UPDATE SET until = excluded.until`,
}
const setAlarm: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.alarm (queue, what, at)
  SELECT DISTINCT ON (a.queue, a.what) * FROM unnest($1::int[], $2::text[], $3::bigint[]) AS a (queue, what, at)
  ORDER BY a.queue, a.what, a.at ON CONFLICT (queue, what) DO UPDATE SET at = excluded.at`,
}
const setStarts: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.start (queue, what, at, n, total, until)
  SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  ON CONFLICT (queue, what, at) DO UPDATE SET n = excluded.n, total = excluded.total, until = excluded.until`,
}

export const queuesIn = ({ jobs, traces }: Images): string[] => [
  ...new Set([
    ...jobs.map(({ policy }) => policy.queue),
    ...traces.flatMap((trace) => ('queue' in trace ? [trace.queue] : [])),
  ]),
]

export const typesIn = ({ jobs, traces }: Images): string[] => [
  ...jobs.map(({ type }) => type),
  ...traces.flatMap((trace) => {
    if (trace.trace === 'type') return [trace.record.type]
    if ('type' in trace) return [trace.type]
    return trace.on.startsWith('t') ? [trace.on.slice(1)] : []
  }),
]

export const addTraces = async (turn: Turn, traces: readonly Trace[]): Promise<void> => {
  for (const trace of traces) addTrace(turn, trace)
  const types = traces.flatMap((trace) => (trace.trace === 'type' ? [trace.record] : []))
  if (types.length > 0) await announce(turn, types)
}

const addTrace = (turn: Turn, trace: Trace): void => {
  const { type: types, queue: queues } = turn.names
  const where = ({ queue, on }: { readonly queue: string; readonly on: string }): [number, string] => [
    queues.id(queue),
    on.startsWith('t') ? `t${types.id(on.slice(1))}` : on,
  ]
  switch (trace.trace) {
    case 'type':
      break
    case 'unique':
      turn.push(addUnique, types.id(trace.type), trace.key, trace.job, trace.until)
      break
    case 'replacement':
      turn.push(addReplacement, trace.id, types.id(trace.type), trace.holder, trace.expiresAt)
      break
    case 'hold': {
      const [queue, what] = where(trace)
      turn.push(setHold, queue, what, trace.until)
      turn.gates.forget(queue)
      break
    }
    case 'alarm':
      turn.push(setAlarm, ...where(trace), trace.at)
      turn.dueAt(trace.at)
      break
    case 'starts':
      turn.push(setStarts, ...where(trace), trace.at, trace.n, trace.total, trace.until)
  }
}
