// When something is due next: a job, a deadline, an alarm.
import type { Turn } from './turn.ts'

/** Each of them is where an index begins; no job is due at `after` or before. */
export const firstDue = (after: string): string => `least(
    (SELECT run_at FROM forgeq.later WHERE run_at > ${after}::bigint ORDER BY run_at LIMIT 1),
    (SELECT at FROM forgeq.deadline WHERE at > -1 ORDER BY at LIMIT 1), (SELECT at FROM forgeq.alarm WHERE at > -1 ORDER BY at LIMIT 1))`

const nextDue = /* sql */ `SELECT ${firstDue('$1')} AS at`

export const nextDueAt = async (turn: Turn): Promise<number | null> =>
  (await turn.one<{ at: number | null }>(nextDue, turn.heads.later))!.at
