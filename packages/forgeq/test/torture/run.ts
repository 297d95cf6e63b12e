// npm run torture -- [--store sqlite|postgres] [--minutes 5] [--seed 7] [--keep]: a run, its report, exit code 1 when an invariant is
// violated; the folder with the histories is then kept.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from './check.ts'
import { grounds } from './grounds.ts'
import { planOf } from './plan.ts'
import { printReport, reportOf } from './report.ts'
import { endAll, perform } from './stage.ts'

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'sqlite' },
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    keep: { type: 'boolean', default: false },
  },
})
const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
const makeGround = grounds[values.store]
if (makeGround === undefined || !(minutes > 0) || !Number.isInteger(seed)) {
  console.error('Usage: npm run torture -- [--store sqlite|postgres] [--minutes 5] [--seed 7] [--keep]')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'forgeq-torture-'))
const ms = minutes * 60_000
const plan = planOf({
  seed,
  ms,
  producers: 2,
  crews: 2,
  processes: 2,
  opsPerSecond: 12,
  limitOpsPerSecond: 10,
  faultEveryMs: 4_000,
})
console.log(`seed ${seed}, ${minutes} minutes, in ${folder}`)
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => {
    endAll(folder)
    process.exit(1)
  })
}
const ground = await makeGround(folder)
const history = await perform({ plan, folder, ground, drainMs: 120_000 })
const report = reportOf(history, check(history))
console.log(printReport(report))
await ground.close()
const isSound = report.violations.length === 0
if (isSound && !values.keep) {
  rmSync(folder, { recursive: true, force: true })
} else {
  writeFileSync(
    join(folder, 'report.json'),
    JSON.stringify({ seed, minutes, node: process.version, ...report }, null, 2),
  )
  console.log(
    `Histories and report.json are in ${folder}; again: npm run torture -- --store ${values.store} --minutes ${minutes} --seed ${seed}`,
  )
}
process.exit(isSound ? 0 : 1)
