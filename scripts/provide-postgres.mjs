// A PostgreSQL server for the tests, on a machine that has none: installed from Debian's packages where nobody has to be asked,
// which is as root. Elsewhere the tests fail and say what to install.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const versions = '/usr/lib/postgresql'
const folders = [
  ...(existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []),
  ...(process.env['PATH'] ?? '').split(':'),
]

export function providePostgres() {
  const isThere = folders.some((folder) => existsSync(join(folder, 'initdb')))
  if (isThere || process.env['FORGEQ_TEST_POSTGRES_URL'] !== undefined) return
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.error('Installing PostgreSQL for the tests: apt-get install postgresql')
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'postgresql']]) {
    const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], options)
    if (status !== 0) return console.error(`apt-get ${args[0]} failed: the tests of the PostgreSQL store will, too.`)
  }
}
