// A PostgreSQL server and PgBouncer for the tests, on a machine that has none: installed from Debian's packages where nobody has
// to be asked, which is as root. Elsewhere the server comes from npm, and tests through PgBouncer are skipped.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { embeddedPostgres } from './embedded-postgres.mjs'

const versions = '/usr/lib/postgresql'
const folders = () => [
  ...(existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []),
  ...(process.env['PATH'] ?? '').split(delimiter),
]
const isServerThere = () =>
  ['FORGEQ_TEST_POSTGRES_BIN', 'FORGEQ_TEST_POSTGRES_URL'].some((name) => process.env[name]) ||
  folders().some((folder) => existsSync(join(folder, 'initdb')))
const isPoolerThere = () => [...folders(), '/usr/sbin'].some((folder) => existsSync(join(folder, 'pgbouncer')))

function installPackages(missing) {
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.error(`Installing for the tests of the PostgreSQL store: apt-get install ${missing.join(' ')}`)
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
    const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], options)
    if (status !== 0) return console.error(`apt-get ${args[0]} failed.`)
  }
}

/** The environment in which the tests find a server. */
export function providePostgres() {
  installPackages([...(isServerThere() ? [] : ['postgresql']), ...(isPoolerThere() ? [] : ['pgbouncer'])])
  if (isServerThere()) return {}
  try {
    return { FORGEQ_TEST_POSTGRES_BIN: embeddedPostgres() }
  } catch (error) {
    console.error(`The tests of the PostgreSQL store will fail: ${error.message}`)
    return {}
  }
}
