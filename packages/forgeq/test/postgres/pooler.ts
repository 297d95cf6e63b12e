// PgBouncer in transaction mode in front of a server, as it is when nobody has configured it for ForgeQ.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort, unprivileged } from './server.ts'

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']

export const findPooler = (): string | undefined =>
  folders.map((folder) => join(folder, 'pgbouncer')).find((file) => existsSync(file))

export class Pooler {
  readonly #folder: string
  readonly #port: number
  readonly #process: ChildProcess

  private constructor(folder: string, port: number, pooler: ChildProcess) {
    this.#folder = folder
    this.#port = port
    this.#process = pooler
  }

  /** `settings`: lines of its configuration. */
  static async to(url: string, settings: readonly string[] = []): Promise<Pooler> {
    const program = findPooler()
    if (program === undefined) throw new Error('no PgBouncer found: install it (apt-get install pgbouncer)')
    const { hostname, port: target, pathname, username, password } = new URL(url)
    const [port, user] = [await freePort(), unprivileged()]
    const folder = await mkdtemp(join(tmpdir(), 'forgeq-pgbouncer-'))
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!)
    const lines = [
      '[databases]',
      `${pathname.slice(1)} = host=${hostname} port=${target} user=${username}${password && ` password=${password}`}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      ...settings,
    ]
    await writeFile(join(folder, 'pgbouncer.ini'), lines.join('\n'))
    const pooler = spawn(program, ['pgbouncer.ini'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...user })
    const said: string[] = []
    for await (const line of createInterface({ input: pooler.stderr })) {
      said.push(line)
      if (!line.includes('process up')) continue
      pooler.stderr.resume()
      return new Pooler(folder, port, pooler)
    }
    throw new Error(`PgBouncer did not start:\n${said.join('\n')}`)
  }

  /** The same database by this way. */
  urlOf(url: string): string {
    const there = new URL(url)
    there.hostname = '127.0.0.1'
    there.port = String(this.#port)
    return there.href
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async remove(): Promise<void> {
    this.kill()
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit')
    await rm(this.#folder, { recursive: true, force: true })
  }
}
