// Enqueues of jobs without anything special about them, as one message with their commit (schema-put.ts).
import { idTime, isId } from '../core/id.ts'
import { packPolicy } from '../store/policy-text.ts'
import type { Enqueued, NewJob } from '../store/records.ts'
import type { Direct } from './direct.ts'
import type { Knowing } from './hand-over.ts'
import { seqsPerTurn } from './turn.ts'

const put = /* sql */ `
  SELECT forgeq.put($1::int[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::bigint, $10::bigint,
    $11::text[], $12::int[], $13::text[])
    AS "isDone"`

const isPlain = (job: NewJob): boolean =>
  job.unique === undefined &&
  job.key === undefined &&
  job.expireMs === undefined &&
  job.runAt === undefined &&
  job.delayMs === undefined &&
  isId(job.id)

/** `undefined` for what takes a transaction. */
export const putDirectly = (
  { names, refusals }: Pick<Knowing, 'names' | 'refusals'>,
  jobs: readonly NewJob[],
): Direct<readonly Enqueued[]> | undefined => {
  if (jobs.length === 0 || jobs.length > seqsPerTurn || !jobs.every(isPlain)) return undefined
  const types = jobs.map(({ type }) => names.type.find(type))
  const queues = jobs.map(({ policy }) => names.queue.find(policy.queue))
  const areKnown = (numbers: readonly (number | undefined)[]): numbers is readonly number[] =>
    !numbers.includes(undefined)
  if (!areKnown(types) || !areKnown(queues)) return undefined
  const entered = [...new Set(queues)].sort((a, b) => a - b)
  const ids = jobs.map(({ id }) => id)
  const kind = `enqueue ${entered.join(' ')}`
  if (refusals.has(kind) || new Set(ids).size < ids.length) return undefined
  const kinds = [...new Set(types)]
  const policies = new Map<NewJob['policy'], string | null>()
  for (const { policy } of jobs) if (!policies.has(policy)) policies.set(policy, packPolicy(policy))
  const times = jobs.map(({ id }) => idTime(id))
  return {
    kinds: [kind],
    statements: [
      {
        sql: put,
        values: [
          entered,
          ids,
          types,
          queues,
          jobs.map(({ policy }) => policy.priority),
          jobs.map(({ policy }) => policies.get(policy)!),
          jobs.map(({ tags }) => (tags === undefined || tags.length === 0 ? null : JSON.stringify(tags))),
          jobs.map(({ payload }) => payload),
          times.reduce((a, b) => Math.min(a, b)),
          times.reduce((a, b) => Math.max(a, b)),
          entered.map((queue) => names.queue.name(queue)),
          kinds,
          kinds.map((type) => names.type.name(type)),
        ],
      },
    ],
    answer: ([rows]) => {
      if (!(rows![0] as { isDone: boolean }).isDone) {
        return undefined
      }
      const hints = new Set(jobs.map(({ policy }) => `ready:${policy.queue}` as const))
      return { value: jobs.map(({ id }) => ({ id, duplicate: false })), hints }
    },
  }
}
