// Private servers on free ports of the loopback, their files in a folder that is removed at the end.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

const stopper = (child) => async (signal) => {
  child.kill(signal)
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

const until = async (isUp) => {
  for (let tries = 0; ; tries += 1) {
    try {
      return await isUp()
    } catch (error) {
      if (tries === 100) throw error
      await sleep(100)
    }
  }
}

export const redis = async (folder) => {
  const port = await freePort()
  const server = spawn(
    'redis-server',
    ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes'],
    {
      stdio: 'ignore',
    },
  )
  await until(() => execFileSync('redis-cli', ['-p', port, 'ping'], { stdio: 'pipe' }))
  return { connection: { host: '127.0.0.1', port }, stop: () => stopper(server)('SIGTERM') }
}

const postgresFolder = () => {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) throw new Error('PostgreSQL is not installed: apt-get install postgresql')
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return join(root, versions[0], 'bin')
}

/** It refuses to run as root, so it runs as the user its package made. */
export const postgres = async (folder) => {
  const bin = postgresFolder()
  const data = join(folder, 'pg')
  const isRoot = process.getuid() === 0
  const user = {
    uid: Number(execFileSync('id', ['-u', 'postgres'])),
    gid: Number(execFileSync('id', ['-g', 'postgres'])),
  }
  if (isRoot) chownSync(folder, user.uid, user.gid)
  const as = { cwd: folder, stdio: 'ignore', ...(isRoot && user) }
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'bench', '--auth', 'trust'], as)
  const port = await freePort()
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-p', port, '-h', '127.0.0.1', '-k', folder], as)
  const url = `postgres://bench@127.0.0.1:${port}/postgres`
  await until(() => execFileSync('psql', [url, '-c', 'SELECT 1'], { stdio: 'pipe' }))
  return { connection: url, stop: () => stopper(server)('SIGINT') }
}

export const file = async (folder) => ({ connection: join(folder, 'jobs.db'), stop: async () => {} })
