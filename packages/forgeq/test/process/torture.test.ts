// A short torture run: real processes, real faults, every invariant checked. A longer one: npm run torture.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../cli/command.ts'
import { check } from '../torture/check.ts'
import { grounds } from '../torture/grounds.ts'
import { planOf } from '../torture/plan.ts'
import { printReport, reportOf } from '../torture/report.ts'
import { perform } from '../torture/stage.ts'

for (const [store, makeGround] of Object.entries(grounds)) {
  test(`twenty seconds of faults on ${store}: nothing is lost, nothing is done under two valid holders, everything ends`, async (t) => {
    const seed = 11
    const folder = temporaryFolder(t)
    const ground = await makeGround(folder)
    t.after(() => ground.close())
    const plan = planOf({
      seed,
      ms: 20_000,
      producers: 1,
      crews: 2,
      processes: 1,
      opsPerSecond: 15,
      limitOpsPerSecond: 8,
      faultEveryMs: 2_000,
    })
    const history = await perform({ plan, folder, ground, drainMs: 60_000 })
    const report = reportOf(history, check(history))
    t.diagnostic(`seed ${seed}`)
    for (const line of printReport(report).split('\n')) t.diagnostic(line)
    assert.deepEqual(report.violations, [])
    assert.ok(report.completed > 60 && report.deaths > 2, printReport(report))
  })
}
