// Unique keys: which job holds one, taking and freeing it. A key is held by at most one job of a type: until that job frees
// it, or until an instant, which may come after the job is gone.
import { untilDone, untilStart, type HeldFor } from '../store/unique-hold.ts'
import { exactly, type Batch } from './batch.ts'
import { rowOf, rowsAt } from './seek.ts'
import type { Turn } from './turn.ts'

const holders = /* sql */ `
  SELECT u.type, u.key, u.job FROM unnest($1::int[], $2::text[]) AS k (type, key)
    CROSS JOIN ${rowOf('uniq', 'u', 'type = k.type AND key = k.key AND (until IS NULL OR until > $3)')}`
/** Somebody's open transaction may hold a key for as long as it likes; queues that were entered are not kept from others meanwhile. */
const waitMs = 100
// Whoever holds it beyond its time does not hold it; a job that is retried may still hold it itself. Of two transactions that
// want a key one waits here, and starts anew when the other has it, or is not through soon.
const take: Batch = {
  sql: exactly(
    /* sql */ `
  INSERT INTO forgeq.uniq (type, key, job, until)
  SELECT k.type, k.key, k.job, k.until
  FROM hasty CROSS JOIN unnest($1::int[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[]) AS k (type, key, job, until, now) ORDER BY 1, 2
  ON CONFLICT (type, key) DO UPDATE SET job = excluded.job, until = excluded.until
  WHERE uniq.until <= ($5::bigint[])[1] OR uniq.job = excluded.job`,
    `hasty AS MATERIALIZED (SELECT set_config('lock_timeout', '${waitMs}', true))`,
  ),
}
// Only the job that holds the key frees it.
const free: Batch = {
  sql: /* sql */ `
  DELETE FROM forgeq.uniq WHERE ${rowsAt('uniq', { type: 'int', key: 'text', job: 'uuid' })}`,
}

export interface KeyOfType {
  readonly type: number
  readonly key: string
}

export interface Owner {
  readonly id: string
  readonly type: number
  readonly uniq: string | null
  readonly uniq_for: HeldFor
}

export const nameOf = ({ type, key }: KeyOfType): string => `${type} ${key}`

const isWindow = (heldFor: HeldFor): heldFor is number => heldFor !== untilDone && heldFor !== untilStart

/** The jobs that hold these keys, by `nameOf`; they may be pruned. */
export const holdersOf = async (turn: Turn, keys: readonly KeyOfType[]): Promise<Map<string, string>> => {
  if (keys.length === 0) return new Map()
  const [types, texts] = [keys.map(({ type }) => type), keys.map(({ key }) => key)]
  const rows = await turn.all<KeyOfType & { job: string }>(holders, types, texts, turn.now)
  return new Map(rows.map((row) => [nameOf(row), row.job]))
}

/** Takes a key that no other job was seen to hold. */
export const takeUnique = (turn: Turn, { id, type, uniq, uniq_for: heldFor }: Owner): void => {
  if (uniq !== null) turn.push(take, type, uniq, id, isWindow(heldFor) ? turn.now + heldFor : null, turn.now)
}

/** Frees the key of a job that was claimed, or will never do its work. */
export const releaseUnique = (turn: Turn, { id, type, uniq }: Owner): void => {
  if (uniq !== null) turn.push(free, type, uniq, id)
}

/** Frees the key of a job that has ended; one that is held for a time is held on. */
export const endUnique = (turn: Turn, owner: Owner): void => {
  if (!isWindow(owner.uniq_for)) releaseUnique(turn, owner)
}
