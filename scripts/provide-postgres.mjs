// A PostgreSQL server and PgBouncer for the tests, on a machine that has none: installed from Debian's packages where nobody has
// to be asked, which is as root. Elsewhere the tests fail and say what to install.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const versions = '/usr/lib/postgresql'
const folders = [
  ...(existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []),
  ...(process.env['PATH'] ?? '').split(':'),
]

export function providePostgres() {
  const missing = []
  const isServerThere = folders.some((folder) => existsSync(join(folder, 'initdb')))
  if (!isServerThere && process.env['FORGEQ_TEST_POSTGRES_URL'] === undefined) missing.push('postgresql')
  if (![...folders, '/usr/sbin'].some((folder) => existsSync(join(folder, 'pgbouncer')))) missing.push('pgbouncer')
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.error(`Installing for the tests of the PostgreSQL store: apt-get install ${missing.join(' ')}`)
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
    const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], options)
    if (status !== 0) return console.error(`apt-get ${args[0]} failed: the tests of the PostgreSQL store will, too.`)
  }
}
