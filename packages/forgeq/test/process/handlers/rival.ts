// A producer among many: enqueues one job for each type and key, with ids that it was given, and prints what each was
// answered with. `node rival.js <store> <payload> <list of jobs as JSON>`
import { typed, defineJob, ForgeError, ForgeQ, type UniqueRule } from 'forgeq'

export interface Entry {
  readonly type: string
  readonly id: string
  readonly unique: UniqueRule
}

export interface Answer {
  readonly type: string
  readonly key: string
  readonly id: string
  readonly refused: boolean
}

const [store, payload, entries] = process.argv.slice(2) as [string, string, string]
const forge = new ForgeQ({ store, enqueueDeadline: '1m' })
for (const { type, id, unique } of JSON.parse(entries) as readonly Entry[]) {
  const { key } = unique
  const answered = (by: string, refused: boolean): void =>
    console.log(JSON.stringify({ type, key, id: by, refused } satisfies Answer))
  try {
    const job = defineJob(type, { input: typed<string>() })
    answered((await forge.enqueue(job, payload, { id, unique })).id, false)
  } catch (error) {
    if (!ForgeError.is(error, 'UNIQUE_CONFLICT')) throw error
    answered(error.holder!, true)
  }
}
await forge.close()
