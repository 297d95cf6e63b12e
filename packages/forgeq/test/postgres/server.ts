// A private PostgreSQL server in a temporary folder, of the binaries in FORGEQ_TEST_POSTGRES_BIN or of those that are installed.
// Where there are none the tests fail and say what to install.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const missing =
  'no PostgreSQL found: install it (apt-get install postgresql), or name a folder with its binaries in FORGEQ_TEST_POSTGRES_BIN'

const folders = (): string[] => {
  const versions = '/usr/lib/postgresql'
  const installed = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []
  return [...installed, ...(process.env['PATH'] ?? '').split(':')]
}

const findBinaries = (): string => {
  const given = process.env['FORGEQ_TEST_POSTGRES_BIN']
  if (given !== undefined) return given
  const found = folders().find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))))
  if (found === undefined) throw new Error(missing)
  return found
}

/** Servers refuse to run as root: then they run as `postgres` or `nobody`. */
export const unprivileged = (): { uid?: number; gid?: number } => {
  if (process.getuid?.() !== 0) return {}
  for (const user of ['postgres', 'nobody']) {
    try {
      const idOf = (flag: string): number =>
        Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'] }))
      return { uid: idOf('-u'), gid: idOf('-g') }
    } catch {
      // There is no such user.
    }
  }
  throw new Error('the server cannot run as root, and there is no user postgres or nobody')
}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export class Server {
  readonly #bin: string
  readonly #folder: string
  readonly #port: number
  readonly #user: { uid?: number; gid?: number }
  #process: ChildProcess | undefined
  /** The lines of its log. */
  readonly said: string[] = []

  private constructor(bin: string, folder: string, port: number, user: { uid?: number; gid?: number }) {
    this.#bin = bin
    this.#folder = folder
    this.#port = port
    this.#user = user
  }

  /** `on`: the folder that its own is made in; `logOn`: the same for its write-ahead log. */
  static async make(on: string = tmpdir(), logOn: string = on): Promise<Server> {
    const [bin, user] = [findBinaries(), unprivileged()]
    const folder = await mkdtemp(join(on, 'forgeq-postgres-'))
    if (on !== tmpdir()) chmodSync(on, 0o755)
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!)
    const options = ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    if (logOn !== on) {
      const log = await mkdtemp(join(logOn, 'forgeq-log-'))
      if (user.uid !== undefined) chownSync(log, user.uid, user.gid!)
      options.push('-X', log)
    }
    execFileSync(join(bin, 'initdb'), options, { cwd: folder, env: {}, stdio: ['ignore', 'ignore', 'pipe'], ...user })
    return new Server(bin, folder, await freePort(), user)
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/postgres`
  }

  /** A way to it without a network, for whoever may enter its folder, and the setting that opens it. */
  get socket(): { readonly url: string; readonly setting: string } {
    return {
      url: `postgres://postgres@/postgres?host=${this.#folder}&port=${this.#port}`,
      setting: `unix_socket_directories=${this.#folder}`,
    }
  }

  /** Resolves when it takes connections. */
  async start(settings: readonly string[]): Promise<void> {
    const options = [
      '-D',
      'data',
      '-h',
      '127.0.0.1',
      '-p',
      String(this.#port),
      '-k',
      '',
      ...settings.flatMap((one) => ['-c', one]),
    ]
    const server = spawn(join(this.#bin, 'postgres'), options, {
      cwd: this.#folder,
      env: { LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
      ...this.#user,
    })
    this.#process = server
    const lines = createInterface({ input: server.stderr })
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        this.said.push(line)
        if (line.includes('ready to accept connections')) resolve()
      })
      lines.on('close', () => reject(new Error(`the server did not start:\n${this.said.join('\n')}`)))
    })
  }

  /** At once and without ceremony, as a crash would. */
  async stop(): Promise<void> {
    const server = this.#process
    this.#process = undefined
    if (server === undefined || server.exitCode !== null) return
    server.kill('SIGQUIT')
    await once(server, 'exit')
  }

  /** For the end of the test process, which waits for nothing. */
  kill(): void {
    this.#process?.kill('SIGQUIT')
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Nothing that these tests look at needs the disk. */
export const fast = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200']
