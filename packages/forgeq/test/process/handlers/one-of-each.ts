// A program that passes every failpoint of a process once, with jobs whose ids it is given: run again it finishes them.
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, ForgeQ, typed } from 'forgeq'
import type { JobRecord } from '#src/store/records.js'

const [url, parentId, delayedId, lostId] = process.argv.slice(2) as [string, string, string, string]
const child = defineJob('child', { input: typed<void>() }, () => 'child')
const parent = defineJob('parent', { input: typed<void>() }, ({ enqueue }) => enqueue(child, undefined))
const delayed = defineJob('delayed', { input: typed<void>() }, () => 'delayed')
const lost = defineJob('lost', { input: typed<void>(), queue: 'lost' }, () => 'lost')

const forge = new ForgeQ({ store: url })
const { store } = forge
// A schema that has to be made first may take longer than an enqueue waits for it.
await forge.ready()
await forge.enqueue(lost, undefined, { id: lostId })
await forge.enqueue(delayed, undefined, { id: delayedId, delay: '50ms' })
const { id } = await forge.enqueue(parent, undefined, { id: parentId })

// A worker that claims a job and leaves without it, unless one did before.
const [{ claim, policy }] = (await store.jobs([lostId])) as [JobRecord]
const ghost = {
  id: crypto.randomUUID(),
  host: 'host',
  pid: process.pid,
  version: '0',
  queues: ['lost'],
  slots: 1,
  pidSpace: null,
}
if (claim === 0) {
  const types = [{ type: 'lost', policy, inputSchema: null }]
  await store.register({ ...ghost, types, leaseMs: 5_000, keepAlive: false })
  const wants = [{ queue: 'lost', slots: 1 }]
  await store.exchange({ worker: ghost.id, turn: 1, settlements: [], wants, slots: 1, notes: [] })
  await store.beat(ghost.id, null, [])
  await store.leave(ghost.id)
}

const worker = forge.worker({ handlers: [parent, child, delayed, lost], lease: '5s' })
const running = worker.run()
const childId = await forge.handle(parent, id).result()
for (const one of [childId, delayedId, lostId]) {
  while ((await forge.admin.job(one))?.state !== 'completed') await wait(5)
}
await worker.stop()
await running
await forge.close()
