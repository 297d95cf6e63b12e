// Runs built tests with node's own runner: node scripts/test.mjs [--quick | --postgres-18] [--test-...] [part of a path ...].
// Quick leaves out what starts processes or servers (process/, cli/, docs/, the PostgreSQL store, the examples), whether the torture
// finds what is broken for it, and most of what runs the same cases once more. The other one runs what needs PostgreSQL, on version 18 from npm, whatever else there is.
// Files are listed here because `node --test` takes no globs on Node 20 and no folder on 22.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embeddedPostgres } from './embedded-postgres.mjs'
import { providePostgres } from './provide-postgres.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const ours = ['--quick', '--postgres-18']
const [quick, embedded] = ours.map((flag) => args.includes(flag))
const runnerFlags = args.filter((arg) => arg.startsWith('--') && !ours.includes(arg))
const wanted = args.filter((arg) => !arg.startsWith('--'))

// Pages show SQL for it.
const needsPostgres = (file) => /postgres|docs\/pages/.test(file)

const files = ['packages/forgeq/dist-test', 'examples/shop/dist']
  .map((folder) => join(root, folder))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => relative(root, file).split(sep).join('/'))
  .filter((file) => !quick || !/dist-test\/(process|cli|docs|torture)\/|postgres|^examples\//.test(file))
  .filter((file) => !embedded || needsPostgres(file))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))

if (files.length === 0) {
  console.error(`No built test matches ${wanted.join(' ') || 'anything'}: run \`npm run build\` or check the path.`)
  process.exit(1)
}

const env = { ...process.env }
if (quick) env['FORGEQ_TEST_QUICK'] = '1'
if (embedded) {
  delete env['FORGEQ_TEST_POSTGRES_URL']
  env['FORGEQ_TEST_POSTGRES_BIN'] = embeddedPostgres()
} else if (files.some(needsPostgres)) Object.assign(env, providePostgres())

const flags = [
  '--enable-source-maps',
  '--test',
  '--test-reporter=spec',
  `--test-concurrency=${Math.max(2, availableParallelism() - 1)}`,
  // For a whole file too: it only ends what hangs.
  '--test-timeout=600000',
]
const runner = spawn(process.execPath, [...flags, ...runnerFlags, ...files], { cwd: root, env, stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal))
runner.on('exit', (code) => process.exit(code ?? 1))
