// Jobs and workers for the tests of this store, made as the library makes them.
import { policy } from '#src/conformance/scene.js'
import { idSource } from '#src/core/id.js'
import type { NewJob, Registration } from '#src/store/records.js'

const nextId = idSource(
  () => Date.now(),
  (bytes) => void crypto.getRandomValues(bytes),
)

export const newJob = (): NewJob => ({ id: nextId(), type: 'work', payload: '{}', policy })

export const registration = (id: string, facts: Partial<Registration> = {}): Registration => ({
  id,
  host: 'host',
  pid: 1,
  pidSpace: null,
  version: '1.0.0',
  queues: ['default'],
  slots: 10,
  leaseMs: 15_000,
  keepAlive: false,
  types: [{ type: 'work', policy, inputSchema: null }],
  ...facts,
})
