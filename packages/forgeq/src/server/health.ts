// Whether the store answers, with the schema this version needs; what it keeps, and who works on it.
import { ForgeError } from '../core/errors.ts'
import type { Store } from '../store/store.ts'
import type { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { version } from '../version.ts'

/** A store that takes longer is as good as away. */
const answerWithinMs = 2_000

/** The report as JSON text, with `problems` besides those of the store; rejects with what makes the store unusable. */
export async function health(store: Store, time: StoreTime, problems: readonly string[]): Promise<string> {
  const [info, schema, workers] = await inTime(Promise.all([store.open(), store.migrate('plan'), store.workers()]))
  if (schema.version !== schema.target) {
    throw new ForgeError(
      'MIGRATION_NEEDED',
      `the store has schema version ${schema.version}, this server needs ${schema.target}: run \`forgeq migrate\`.`,
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
    workers: workers.filter(({ closed, expiresAt }) => !closed && expiresAt > info.now).length,
    problems: [...info.problems, ...problems],
  })
}

function inTime<T>(look: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = realTimers.after(answerWithinMs, () => {
      reject(new ForgeError('STORE_UNAVAILABLE', `the store did not answer within ${answerWithinMs} ms.`))
    })
    look.then(resolve, reject).then(cancel, cancel)
  })
}
