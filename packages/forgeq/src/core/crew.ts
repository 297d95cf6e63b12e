// What records of workers say about who can run jobs, and which processes do not come up. Reads records, changes nothing.
import type { WorkerRecord } from '../store/worker-record.ts'
import { formatMs } from './duration.ts'

/** Of its lease. A worker beats three times in one. */
const silentShare = 2 / 3

export const isLive = ({ closed, expiresAt }: WorkerRecord, now: number): boolean => !closed && expiresAt > now

/** A supervisor has no slots. */
export const canWork = (worker: WorkerRecord, now: number): boolean => isLive(worker, now) && worker.slots > 0

/** One sentence for each process that dies again and again. `now`: of the store. */
export const describeCrashLoops = (workers: readonly WorkerRecord[], now: number): string[] =>
  workers
    .filter((worker) => isLive(worker, now))
    .flatMap(({ host, pid, facts }) =>
      (facts?.crew?.loops ?? []).map(({ place, failures, how, nextStartAt }) => {
        const which = `Worker process ${place} of ${facts!.crew!.processes} (supervisor ${pid} on ${host})`
        const next = nextStartAt === null ? 'is there again' : `starts again ${inWords(nextStartAt - now)}`
        return `${which} has died ${failures} times in a row (${how}) and ${next}: its log says why.`
      }),
    )

/** One sentence for each worker that should have given a sign of life by now. */
export const describeSilent = (workers: readonly WorkerRecord[], now: number): string[] =>
  workers
    .filter(({ closed, beatAt, leaseMs }) => !closed && now - beatAt > leaseMs * silentShare)
    .map(({ host, pid, held, beatAt, expiresAt }) => {
      const jobs = held === 1 ? 'its job runs' : `its ${held} jobs run`
      const next = held === 0 ? '' : `; ${jobs} elsewhere when its lease is over, ${inWords(expiresAt - now)}`
      return `Process ${pid} on ${host} has given no sign of life for ${formatMs(now - beatAt)}: it stands still or is gone${next}.`
    })

const inWords = (ms: number): string => (ms > 0 ? `in ${formatMs(ms)}` : 'now')
