// Runs built tests with node's own runner: node scripts/test.mjs [--quick] [--test-...] [part of a path ...]. Quick leaves out
// what starts processes or servers: process/, cli/, docs/, the PostgreSQL store and the examples.
// Files are listed here because `node --test` takes no globs on Node 20 and no folder on 22.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { providePostgres } from './provide-postgres.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const quick = args.includes('--quick')
const runnerFlags = args.filter((arg) => arg.startsWith('--') && arg !== '--quick')
const wanted = args.filter((arg) => !arg.startsWith('--'))

const files = ['packages/forgeq/dist-test', 'examples/shop/dist']
  .map((folder) => join(root, folder))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => relative(root, file).split(sep).join('/'))
  .filter((file) => !quick || !/dist-test\/(process|cli|docs)\/|postgres|^examples\//.test(file))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))

if (files.length === 0) {
  console.error(`No built test matches ${wanted.join(' ') || 'anything'}: run \`npm run build\` or check the path.`)
  process.exit(1)
}

// Pages show SQL for it.
if (files.some((file) => /postgres|docs\/pages/.test(file))) providePostgres()

const flags = [
  '--enable-source-maps',
  '--test',
  '--test-reporter=spec',
  `--test-concurrency=${Math.max(2, availableParallelism() - 1)}`,
  // For a whole file too: it only ends what hangs.
  '--test-timeout=600000',
]
const runner = spawn(process.execPath, [...flags, ...runnerFlags, ...files], { cwd: root, stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal))
runner.on('exit', (code) => process.exit(code ?? 1))
