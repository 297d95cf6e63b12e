// Runs the commands of a page in its folder, and gives what they print as the page shows it.
import { spawn, type ChildProcess } from 'node:child_process'
import type { Page } from './pages.ts'
import { plainEnv } from './plain-env.ts'

const shownPort = '7788'
/** What moves the cursor of a terminal, and a line that the next one took the place of. */
const escapes = new RegExp(String.raw`${'\u001B'}\[[\d;]*[A-Za-z]|[^\n]*\r(?!\n)`, 'g')
/** Node says that about its own SQLite, where it uses that. */
const remarks = /ExperimentalWarning|--trace-warnings/

export interface Running {
  readonly child: ChildProcess
  /** What it has printed so far, on both streams. */
  readonly lines: () => string[]
  readonly over: Promise<void>
}

export class Shell {
  readonly #page: Page
  readonly #folder: string
  /** Where `npx`, `node` and `curl` are, as pages mean them. */
  readonly #commands: string
  /** That the page's server took instead of the usual one. */
  #port: string | undefined

  constructor(page: Page, folder: string, commands: string) {
    this.#page = page
    this.#folder = folder
    this.#commands = commands
  }

  /** `isLasting`: signals reach the command itself, not the shell around it. */
  run(command: string, isLasting: boolean): Running {
    const text = command.replaceAll(`:${shownPort}`, `:${this.#port ?? shownPort}`)
    const child = spawn('sh', ['-c', `exec 2>&1; ${isLasting ? 'exec ' : ''}${text}`], {
      cwd: this.#folder,
      env: { ...plainEnv(), PATH: `${this.#commands}:${process.env['PATH']}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
    const over = new Promise<void>((resolve) => child.once('close', () => resolve()))
    return { child, over, lines: () => this.#shown(printed) }
  }

  /** TypeScript by its own name, the usual port, this folder as nothing. */
  #shown(printed: string): string[] {
    this.#port ??= /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(printed)?.[1]
    const lines = printed
      .replaceAll(escapes, '')
      .replaceAll(`${this.#folder}/`, '')
      .replaceAll(new RegExp(`:${this.#port ?? shownPort}\\b`, 'g'), `:${shownPort}`)
      .replaceAll(/\b([\w/-]+)\.js\b/g, (name, stem: string) => (this.#isTypeScript(stem) ? `${stem}.ts` : name))
      .split('\n')
    if (lines.at(-1) === '') lines.pop()
    return lines.filter((line) => !remarks.test(line))
  }

  #isTypeScript(stem: string): boolean {
    return this.#page.blocks.some(({ file }) => file === `${stem}.ts`)
  }
}
