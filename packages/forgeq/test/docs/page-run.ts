// Does what a page says, block after block, in an empty folder of its own: programs are run, commands are carried out and
// their output compared, SQL goes to the store: its file, or the database that the page is about. What keeps running is
// stopped at the end.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { findDriver } from '#src/sqlite/connect.js'
import { sqlite } from '#src/sqlite/index.js'
import { findLacking, isNpmCommand } from './npm-command.ts'
import type { Block, Page } from './pages.ts'
import { printed } from './printed.ts'
import { programsOf, type Program } from './programs.ts'
import { Shell, type Running } from './shell.ts'
import { stepsOf } from './steps.ts'
import { Transcript } from './transcript.ts'

const patienceMs = 30_000
const defaultFile = '.forgeq/forgeq.db'

export class PageRun {
  readonly #page: Page
  readonly #programs: readonly Program[]
  readonly #folder: string
  readonly #shell: Shell
  /** Hears of commands that are not run here. */
  readonly #remark: (text: string) => void
  /** Carries out what is no SQL for the store's file. */
  readonly #database: ((sql: string) => Promise<void>) | undefined
  readonly #transcript = new Transcript()
  readonly #lasting: { readonly running: Running; readonly line: number }[] = []
  #exitCode: number | null = 0

  constructor(
    page: Page,
    folder: string,
    commands: string,
    remark: (text: string) => void,
    database?: (sql: string) => Promise<void>,
  ) {
    this.#page = page
    this.#programs = programsOf(page)
    this.#folder = folder
    this.#shell = new Shell(page, folder, commands)
    this.#remark = remark
    this.#database = database
  }

  /** Throws what does not hold, with the line of the page. */
  async run(): Promise<void> {
    try {
      for (const block of this.#page.blocks) await this.#do(block)
      for (const { running, line } of this.#lasting) {
        running.child.kill('SIGTERM')
        await this.#finish(running, line)
        const { exitCode } = running.child
        if (exitCode !== 0) this.#fail(line, `ends with exit code ${exitCode} after SIGTERM`, running.lines())
      }
    } finally {
      for (const { running } of this.#lasting) running.child.kill('SIGKILL')
    }
  }

  async #do(block: Block): Promise<void> {
    switch (block.language) {
      case 'ts':
      case 'js':
        return this.#program(block)
      case 'console':
        return this.#console(block)
      case 'sql':
        return this.#sql(block)
      case 'json':
      case 'ndjson':
        return this.#json(block)
      case 'text':
    }
  }

  /** A program is run when its last part is there. */
  async #program(block: Block): Promise<void> {
    const program = this.#programs.find(({ parts }) => parts.at(-1) === block)
    if (program === undefined) return
    const { module, isFile, parts } = program
    if (isFile) return this.#checkUsed(module, block.line)
    const ran = await this.#finish(this.#shell.run(`node ${module}`, false), block.line)
    if (ran.child.exitCode !== 0) this.#fail(block.line, `ends with exit code ${ran.child.exitCode}`, ran.lines())
    const told = parts.flatMap(({ code }) => printed(code)).flatMap((line) => ['...', line])
    const { missing } = this.#transcript.compare(told, ran.lines(), false)
    if (missing !== undefined) this.#fail(block.line, `does not print: ${missing}`, ran.lines())
  }

  #checkUsed(file: string, line: number): void {
    const name = file.replace(/\.m?[jt]s$/, '')
    const uses = [name, dirname(name)].filter((use) => use !== '.')
    const others = this.#page.blocks.filter((block) => block.file !== file)
    if (others.some(({ code }) => uses.some((use) => code.includes(use)))) return
    this.#fail(line, `the file ${file} is used by no other block, so nothing runs it`)
  }

  async #console(block: Block): Promise<void> {
    const steps = stepsOf(block.code)
    if (steps.length === 0) this.#fail(block.line, 'has no command: a line that begins with "$ "')
    for (const [i, { command, expected, line: below }] of steps.entries()) {
      const line = block.line + below
      const isLast = i === steps.length - 1
      if (command === 'echo $?') {
        if (String(this.#exitCode) !== expected[0]) this.#fail(line, `the exit code is ${this.#exitCode}`)
      } else if (isNpmCommand(command)) {
        const lacking = findLacking(command)
        if (lacking !== undefined) this.#fail(line, `there is ${lacking}`)
        this.#remark(`${this.#page.path}:${line}: not run here, nor is its output compared: ${command}`)
      } else if (block.keepsRunning && isLast) await this.#start(command, expected, line)
      else await this.#command(command, expected, line, steps[i + 1]?.command === 'echo $?')
    }
  }

  async #command(command: string, expected: readonly string[], line: number, mayFail: boolean): Promise<void> {
    const ran = await this.#finish(this.#shell.run(this.#transcript.translate(command), false), line)
    this.#exitCode = ran.child.exitCode
    if (this.#exitCode !== 0 && !mayFail) this.#fail(line, `ends with exit code ${this.#exitCode}`, ran.lines())
    const { missing } = this.#transcript.compare(expected, ran.lines(), true)
    if (missing !== undefined) this.#fail(line, `does not print: ${missing}`, ran.lines())
  }

  async #finish(running: Running, line: number): Promise<Running> {
    const { child, over, lines } = running
    const timer = globalThis.setTimeout(() => child.kill('SIGKILL'), patienceMs)
    await over
    clearTimeout(timer)
    if (child.signalCode !== null) this.#fail(line, `was ended by ${child.signalCode}, did it hang?`, lines())
    return running
  }

  /** Starts what keeps running and waits until it has printed what the page shows. */
  async #start(command: string, expected: readonly string[], line: number): Promise<void> {
    const running = this.#shell.run(command, true)
    this.#lasting.push({ running, line })
    const missing = (): string | undefined => this.#transcript.compare(expected, running.lines(), false).missing
    const isShown = new Promise<void>((resolve) => {
      running.child.stdout?.on('data', () => missing() === undefined && resolve())
    })
    if (missing() !== undefined) {
      await Promise.race([isShown, running.over, setTimeout(patienceMs, undefined, { ref: false })])
      const still = missing()
      if (still !== undefined) this.#fail(line, `does not print: ${still}`, running.lines())
    }
    if (/\bforgeq (worker|dev)\b/.test(command)) await this.#seeWorker()
  }

  /** A worker shows itself a moment before it is registered. */
  async #seeWorker(): Promise<void> {
    const store = sqlite(join(this.#folder, defaultFile))
    try {
      while (!(await store.workers()).some(({ slots }) => slots > 0)) await setTimeout(20)
    } finally {
      await store.close()
    }
  }

  async #sql({ code, line, file = defaultFile }: Block): Promise<void> {
    if (this.#database !== undefined) {
      return this.#database(code).catch((error: unknown) => this.#fail(line, (error as Error).message))
    }
    const path = join(this.#folder, file)
    const store = sqlite(path)
    await store.open()
    await store.close()
    const { driver } = findDriver(false)
    const db = new driver.DatabaseSync(path)
    try {
      db.exec('PRAGMA busy_timeout = 5000')
      db.exec(code)
    } catch (error) {
      this.#fail(line, (error as Error).message)
    } finally {
      db.close()
    }
  }

  #json({ language, code, line, file }: Block): void {
    for (const text of language === 'json' ? [code] : code.split('\n')) {
      try {
        JSON.parse(text)
      } catch (error) {
        this.#fail(line, `is not JSON: ${(error as Error).message}`)
      }
    }
    if (file === undefined) return
    const path = join(this.#folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${code}\n`)
  }

  #fail(line: number, what: string, lines: readonly string[] = []): never {
    const output = lines.length === 0 ? '' : `\nIt printed:\n${lines.join('\n')}`
    throw new Error(`${this.#page.path}:${line}: ${what}${output}`)
  }
}
