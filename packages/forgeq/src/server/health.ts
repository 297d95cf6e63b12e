// Whether the store answers, with the schema this version needs; what it keeps, and who works on it.
import { canWork, describeCrashLoops, describeSilent } from '../core/crew.ts'
import { ForgeError } from '../core/errors.ts'
import type { WorkerRecord } from '../store/worker-record.ts'
import type { Migration, Store, StoreInfo } from '../store/store.ts'
import type { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { version } from '../version.ts'

/** A store that takes longer is as good as away. */
const answerWithinMs = 2_000

/** The report as JSON text, with `problems` besides those of the store; rejects with what makes the store unusable. */
export async function health(store: Store, time: StoreTime, problems: readonly string[]): Promise<string> {
  const [info, schema, workers] = await inTime(look(store))
  if (schema.version !== schema.target) {
    throw new ForgeError(
      'MIGRATION_NEEDED',
      `the store has schema version ${schema.version}, this server needs ${schema.target}: run \`forgeq migrate\``,
    )
  }
  time.hear(info.now)
  return JSON.stringify({
    status: 'ok',
    version,
    store: {
      kind: info.kind,
      version: info.version,
      durability: info.durability,
      capabilities: info.capabilities,
      schema: schema.version,
    },
    workers: workers.filter((worker) => canWork(worker, info.now)).length,
    problems: [
      ...info.problems,
      ...describeCrashLoops(workers, info.now),
      ...describeSilent(workers, info.now),
      ...problems,
    ],
  })
}

async function look(store: Store): Promise<readonly [StoreInfo, Migration, readonly WorkerRecord[]]> {
  // An empty store gets its schema when it is opened: planned at the same time, it would still lack it.
  const info = await store.open()
  return [info, ...(await Promise.all([store.migrate('plan'), store.workers()]))]
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = realTimers.after(answerWithinMs, () => {
      reject(new ForgeError('STORE_UNAVAILABLE', `the store did not answer within ${answerWithinMs} ms`))
    })
    answer.then(resolve, reject).then(cancel, cancel)
  })
}
