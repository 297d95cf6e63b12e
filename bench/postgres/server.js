// A private PostgreSQL server in a temporary folder, as it comes out of the box, with the extension that counts statements
// loaded but idle.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const binaries = () => {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) throw new Error('PostgreSQL is not installed: apt-get install postgresql')
  const [newest] = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return join(root, newest, 'bin')
}

/** The server refuses to run as root: then it runs as the user its package made. */
const user = () => {
  if (process.getuid() !== 0) return {}
  const idOf = (flag) => Number(execFileSync('id', [flag, 'postgres']))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

const settings = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track=none']

export const startServer = async (parent) => {
  const [bin, as] = [binaries(), user()]
  const folder = join(parent, 'postgres')
  mkdirSync(folder)
  if (as.uid !== undefined) {
    chmodSync(dirname(folder), 0o755)
    chownSync(folder, as.uid, as.gid)
  }
  const init = ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C']
  execFileSync(join(bin, 'initdb'), init, { cwd: folder, env: {}, stdio: ['ignore', 'ignore', 'pipe'], ...as })
  const port = await freePort()
  const options = [
    '-D',
    'data',
    '-h',
    '127.0.0.1',
    '-p',
    `${port}`,
    '-k',
    '',
    ...settings.flatMap((one) => ['-c', one]),
  ]
  const server = spawn(join(bin, 'postgres'), options, {
    cwd: folder,
    env: { LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...as,
  })
  process.on('exit', () => server.kill('SIGQUIT'))
  const lines = []
  for await (const line of createInterface({ input: server.stderr })) {
    lines.push(line)
    if (line.includes('ready to accept connections')) break
  }
  if (server.exitCode !== null) throw new Error(`the server did not start:\n${lines.join('\n')}`)
  server.stderr.resume()
  return {
    urlOf: (database) => `postgres://postgres@127.0.0.1:${port}/${database}`,
    cpuUs: () => cpuUs(server.pid),
    async stop() {
      server.kill('SIGINT')
      await once(server, 'exit')
    },
  }
}

const ticksPerSecond = 100

/** What the server and all its processes used, those that ended included; undefined where there is no /proc. */
const cpuUs = (pid) => {
  if (!existsSync('/proc/self/stat')) return undefined
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  const ticks = [pid, ...children].reduce((total, one) => total + ticksOf(one), 0)
  return (ticks / ticksPerSecond) * 1e6
}

/** utime, stime, and those of the children it has waited for. */
const ticksOf = (pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return fields.slice(11, 15).reduce((total, field) => total + Number(field), 0)
  } catch {
    return 0
  }
}
