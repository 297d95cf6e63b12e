// Sees to it that nobody works on a store: brings back what dead workers hold, as any worker or server would do, and refuses
// while a process works there.
import { setTimeout as sleep } from 'node:timers/promises'
import { isLive } from '../core/crew.ts'
import { formatMs } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import type { Store } from '../store/store.ts'
import type { WorkerRecord } from '../store/worker-record.ts'
import { rescue } from './rescue.ts'

const lookMs = 250
/** Beyond the longest lease of those who are gone: after a silence of all, a store closes nobody for one lease. */
const graceMs = 5_000

/** Who works there now, in words that say what to do; `undefined`: nobody. */
export const describeLive = (workers: readonly WorkerRecord[], now: number): string | undefined => {
  const live = workers.filter((worker) => isLive(worker, now))
  const [first] = live
  if (first === undefined) return undefined
  const { host, pid, expiresAt } = first
  const others = live.length === 1 ? '' : `, and ${live.length - 1} more`
  const wait = formatMs(Math.max(1000, Math.ceil((expiresAt - now) / 1000) * 1000))
  return `process ${pid} on ${host} works there${others}: stop it first; one that was killed counts as gone in ${wait}`
}

/** STATE_CONFLICT while anybody works on the store, which `name` tells. `waits`: told when it has to wait for dead ones. */
export async function seeNobodyWorks(store: Store, name: string, waits: () => void = () => undefined): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    const { now } = await store.open()
    const more = await rescue(
      store,
      () => now,
      Math.random,
      () => undefined,
    )
    const workers = await store.workers()
    if (workers.length === 0) return
    const live = describeLive(workers, now)
    if (live !== undefined) throw new ForgeError('STATE_CONFLICT', `${name}: ${live}`)
    if (performance.now() - startedAt > Math.max(...workers.map(({ leaseMs }) => leaseMs)) + graceMs) {
      throw new ForgeError('STATE_CONFLICT', `${name}: ${workers.length} dead workers still hold jobs; run it again`)
    }
    if (more === 0 || workers.every(({ closed }) => closed)) continue
    waits()
    await sleep(lookMs)
  }
}
