import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFailpoints } from '#src/store/failpoint.js'
import { planOf } from './plan.ts'
import { jobs } from './workload.ts'

const options = {
  ms: 60_000,
  producers: 2,
  crews: 2,
  processes: 2,
  opsPerSecond: 20,
  limitOpsPerSecond: 10,
  faultEveryMs: 3_000,
}

test('the same seed gives the same plan, another one another', () => {
  assert.deepEqual(planOf({ ...options, seed: 7 }), planOf({ ...options, seed: 7 }))
  assert.notDeepEqual(planOf({ ...options, seed: 7 }), planOf({ ...options, seed: 8 }))
})

test('what limits add leaves the rest of a plan as it is', () => {
  const { producers, faults, crews } = planOf({ ...options, seed: 7, limitOpsPerSecond: 0 })
  const limited = planOf({ ...options, seed: 7 })
  assert.deepEqual(
    { producers: limited.producers.slice(0, 2), faults: limited.faults, crews: limited.crews },
    { producers, faults, crews },
  )
  assert.equal(limited.producers.length, 3)
})

test('a plan holds every kind of job and fault, and failpoints that exist', (t) => {
  t.after(() => setFailpoints(''))
  const { producers, faults, crews, producerFailpoints } = planOf({ ...options, seed: 7, ms: 600_000 })
  const ops = producers.flat()
  const kinds = new Set(ops.map((op) => (op.do === 'enqueue' ? op.kind : op.do)))
  assert.deepEqual(kinds, new Set([...Object.keys(jobs), 'cancel', 'pause', 'limit']))
  assert.equal(new Set(faults.map(({ kind }) => kind)).size, 6)
  for (const failpoints of [...crews, ...producerFailpoints].flat()) setFailpoints(failpoints)
})
