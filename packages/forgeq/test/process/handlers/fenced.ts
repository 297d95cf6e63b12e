// A worker with the shortest lease, whose handlers write their effects to a table that takes only the newest claim of a job.
import { appendFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { defineJob, ForgeError, ForgeQ, typed } from 'forgeq'
import { openStore, type ExchangeRequest, type Store } from 'forgeq/store'
import { findDriver, type Database } from '#src/sqlite/connect.js'

/** Goes on until it is aborted or, after its first claim, has somebody else to do it. */
export const held = defineJob('held', { input: typed<void>(), retries: 0 })
/** Ends after a while, whatever happened meanwhile. */
export const timed = defineJob('timed', { input: typed<{ ms: number }>(), retries: 0 })
/** Lets nothing else in its thread run. */
export const blocking = defineJob('blocking', { input: typed<{ ms: number }>(), retries: 0 })

export function openEffects(file: string): Database {
  const { driver } = findDriver(false)
  const db = new driver.DatabaseSync(file)
  db.exec(`PRAGMA busy_timeout = 5000; CREATE TABLE IF NOT EXISTS effect (job TEXT PRIMARY KEY, claim INT, pid INT)`)
  return db
}

/** The numbers of the claims this process holds or held, by job. */
function countClaims(store: Store): { store: Store; claims: Map<string, number> } {
  const claims = new Map<string, number>()
  const exchange = async (request: ExchangeRequest): ReturnType<Store['exchange']> => {
    const reply = await store.exchange(request)
    if (!reply.closed) for (const { job, claim } of reply.claimed) claims.set(job, claim)
    return reply
  }
  return { claims, store: new Proxy(store, { get: (it, name) => (name === 'exchange' ? exchange : bound(it, name)) }) }
}

const bound = (store: Store, name: string | symbol): unknown => {
  const part: unknown = Reflect.get(store, name)
  return typeof part === 'function' ? part.bind(store) : part
}

async function work([url, effectsFile, notesFile]: readonly string[]): Promise<void> {
  const effects = openEffects(effectsFile!)
  const { store, claims } = countClaims(await openStore(url!))
  const forge = new ForgeQ({ store })
  const note = (what: string, job: string): void => appendFileSync(notesFile!, `${what} ${job} ${process.pid}\n`)
  const effect = (job: string, claim: number): void => {
    const { changes } = effects
      .prepare(
        `INSERT INTO effect VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE SET claim = excluded.claim, pid = excluded.pid
         WHERE excluded.claim > claim`,
      )
      .run(job, claim, process.pid)
    note(Number(changes) === 1 ? 'effect' : 'refused', job)
  }

  const doHeld = held.handler(async ({ job: { id }, signal }) => {
    const claim = claims.get(id)!
    note('start', id)
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    if (claim === 1) await aborted
    if (signal.aborted) note(ForgeError.is(signal.reason) ? signal.reason.code : 'unknown', id)
    effect(id, claim)
  })
  const doTimed = timed.handler(async ({ job: { id }, input: { ms } }) => {
    const claim = claims.get(id)!
    note('start', id)
    await wait(claim === 1 ? ms : 0)
    effect(id, claim)
  })
  const doBlocking = blocking.handler(({ job: { id }, input: { ms } }) => {
    note('start', id)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    effect(id, claims.get(id)!)
  })
  await forge.worker({ handlers: [doHeld, doTimed, doBlocking], lease: '5s' }).run()
  await forge.close()
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) await work(process.argv.slice(2))
