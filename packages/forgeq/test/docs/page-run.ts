// Does what a page says, block after block, in an empty folder of its own: programs are run, commands are carried out and
// their output compared, SQL goes to the store's file. What keeps running is stopped at the end.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { findDriver } from '#src/sqlite/connect.js'
import { sqlite } from '#src/sqlite/index.js'
import { moduleOf } from './compile-pages.ts'
import { root, type Block, type Page } from './pages.ts'
import { plainEnv } from './plain-env.ts'
import { printed } from './printed.ts'
import { Transcript } from './transcript.ts'

const patienceMs = 30_000
const defaultFile = '.forgeq/forgeq.db'
const defaultPort = '7788'
/** What moves the cursor of a terminal, and a line that the next one took the place of. */
const escapes = new RegExp(String.raw`${'\u001B'}\[[\d;]*[A-Za-z]|[^\n]*\r(?!\n)`, 'g')

interface Ran {
  readonly lines: readonly string[]
  readonly exitCode: number | null
}

interface Running {
  readonly child: ChildProcess
  readonly block: Block
  readonly over: Promise<Ran>
  readonly lines: () => string[]
}

export class PageRun {
  readonly #page: Page
  readonly #folder: string
  /** Where `npx`, `node` and `curl` are, as pages mean them. */
  readonly #commands: string
  /** Hears of commands that are not run here. */
  readonly #remark: (text: string) => void
  readonly #transcript = new Transcript()
  readonly #running: Running[] = []
  #port: string | undefined
  #exitCode: number | null = 0

  constructor(page: Page, folder: string, commands: string, remark: (text: string) => void) {
    this.#page = page
    this.#folder = folder
    this.#commands = commands
    this.#remark = remark
  }

  /** Throws what does not hold, with the line of the page. */
  async run(): Promise<void> {
    const { blocks } = this.#page
    try {
      for (const [i, block] of blocks.entries()) await this.#do(block, blocks.slice(i + 1))
      for (const running of this.#running) await this.#end(running)
    } finally {
      for (const { child } of this.#running) child.kill('SIGKILL')
    }
  }

  async #do(block: Block, later: readonly Block[]): Promise<void> {
    switch (block.language) {
      case 'ts':
      case 'js':
        return this.#program(block, later)
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

  async #program(block: Block, later: readonly Block[]): Promise<void> {
    const next = later.find(({ language }) => language === block.language)
    if (next?.continues === true) return
    const module = this.#moduleWith(block)
    if (module.file !== undefined) return this.#checkUsed(module.file, block)
    const parts = this.#partsOf(module)
    const expected = parts.flatMap(({ code }) => printed(code))
    const command = `node ${moduleOf(module)}`
    if (parts.some(({ keepsRunning }) => keepsRunning)) return this.#start(command, expected, block)
    const ran = await this.#finish(this.#spawn(command, block))
    if (ran.exitCode !== 0) this.#fail(block, `ends with exit code ${ran.exitCode}`, ran.lines)
    const told = expected.flatMap((line) => ['...', line])
    const { missing } = this.#transcript.compare(told, ran.lines, false)
    if (missing !== undefined) this.#fail(block, `does not print: ${missing}`, ran.lines)
  }

  /** The block that the module of `block` begins with. */
  #moduleWith(block: Block): Block {
    const { blocks } = this.#page
    const programs = blocks.slice(0, blocks.indexOf(block) + 1).filter(({ language }) => language === block.language)
    return programs.findLast(({ continues }) => !continues) ?? block
  }

  #partsOf(first: Block): Block[] {
    const programs = this.#page.blocks.filter(({ language }) => language === first.language)
    const after = programs.slice(programs.indexOf(first) + 1)
    const end = after.findIndex(({ continues }) => !continues)
    return [first, ...(end < 0 ? after : after.slice(0, end))]
  }

  #checkUsed(file: string, block: Block): void {
    const name = file.replace(/\.m?[jt]s$/, '')
    const uses = [name, dirname(name)].filter((one) => one !== '.')
    const isUsed = this.#page.blocks.some(
      (other) =>
        other.file !== file && uses.some((use) => other.code.includes(use) || name.startsWith('forgeq.config')),
    )
    if (!isUsed) this.#fail(block, `the file ${file} is used by no other block, so nothing runs it`)
  }

  async #console(block: Block): Promise<void> {
    const steps = stepsOf(block.code)
    if (steps.length === 0) this.#fail(block, 'has no command: a line that begins with "$ "')
    for (const [i, { command, expected, line }] of steps.entries()) {
      const here = { ...block, line: block.line + line }
      if (command === 'echo $?') {
        if (String(this.#exitCode) !== expected[0]) this.#fail(here, `the exit code is ${this.#exitCode}`)
        continue
      }
      if (this.#isForNpm(command, here)) continue
      const translated = this.#translate(command)
      if (block.keepsRunning && i === steps.length - 1) return this.#start(translated, expected, here)
      const ran = await this.#finish(this.#spawn(translated, here))
      this.#exitCode = ran.exitCode
      if (ran.exitCode !== 0 && steps[i + 1]?.command !== 'echo $?') {
        this.#fail(here, `${command} ends with exit code ${ran.exitCode}`, ran.lines)
      }
      const { missing } = this.#transcript.compare(expected, ran.lines, true)
      if (missing !== undefined) this.#fail(here, `${command} does not print: ${missing}`, ran.lines)
    }
  }

  #translate(command: string): string {
    return this.#transcript.translate(command).replaceAll(`:${defaultPort}`, `:${this.#port ?? defaultPort}`)
  }

  /** Installing and this very test run are not repeated here; what the commands name must be there. */
  #isForNpm(command: string, block: Block): boolean {
    if (!/^(npm|git|cd) /.test(command)) return false
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
    for (const part of command.split(' && ')) {
      const [, verb = '', rest = ''] = /^npm (?:run )?(\S+) ?(.*)$/.exec(part) ?? []
      const packages = verb === 'install' ? rest.split(' ').filter((name) => name !== '' && !name.startsWith('-')) : []
      const lacking = packages.find((name) => !existsSync(join(root, 'node_modules', name)))
      if (lacking !== undefined) this.#fail(block, `there is no package ${lacking}`)
      const [, module] = /^node (\S+)$/.exec(part) ?? []
      if (module !== undefined && !existsSync(join(root, module))) this.#fail(block, `there is no ${module}`)
      if (part.startsWith('npm') && !['install', 'ci', 'init', 'pkg'].includes(verb) && !(verb in scripts)) {
        this.#fail(block, `there is no script ${verb}`)
      }
    }
    this.#remark(`${this.#page.path}:${block.line}: not run here, nor is its output compared: ${command}`)
    return true
  }

  async #sql(block: Block): Promise<void> {
    const { code, file = defaultFile } = block
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
      this.#fail(block, (error as Error).message)
    } finally {
      db.close()
    }
  }

  #json(block: Block): void {
    const texts = block.language === 'json' ? [block.code] : block.code.split('\n')
    for (const text of texts) {
      try {
        JSON.parse(text)
      } catch (error) {
        this.#fail(block, `is not JSON: ${(error as Error).message}`)
      }
    }
    if (block.file === undefined) return
    const path = join(this.#folder, block.file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${block.code}\n`)
  }

  #spawn(command: string, block: Block): Running {
    const child = spawn('sh', ['-c', `exec 2>&1; ${block.keepsRunning ? 'exec ' : ''}${command}`], {
      cwd: this.#folder,
      env: { ...plainEnv(), PATH: `${this.#commands}:${process.env['PATH']}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => (text += chunk))
    const lines = (): string[] => this.#readable(text)
    const over = new Promise<Ran>((resolve) => {
      child.once('close', (exitCode) => resolve({ exitCode, lines: lines() }))
    })
    return { child, block, over, lines }
  }

  /** As the page shows it: TypeScript by its own name, the usual port, this folder as nothing. */
  #readable(text: string): string[] {
    this.#port ??= /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1]
    const port = new RegExp(`:${this.#port ?? defaultPort}\\b`, 'g')
    const shown = text.replaceAll(escapes, '').replaceAll(`${this.#folder}/`, '').replaceAll(port, `:${defaultPort}`)
    const lines = shown.replaceAll(/\b([\w/-]+)\.js\b/g, (name, stem: string) =>
      this.#isBuilt(stem) ? `${stem}.ts` : name,
    )
    return lines
      .split('\n')
      .filter(
        (line, i, all) => !/ExperimentalWarning|--trace-warnings/.test(line) && (line !== '' || i < all.length - 1),
      )
  }

  #isBuilt(stem: string): boolean {
    return this.#page.blocks.some(({ file }) => file === `${stem}.ts`)
  }

  async #finish({ child, over, block, lines }: Running): Promise<Ran> {
    const timer = globalThis.setTimeout(() => child.kill('SIGKILL'), patienceMs)
    const ran = await over
    clearTimeout(timer)
    if (child.signalCode !== null) this.#fail(block, `was ended by ${child.signalCode}, did it hang?`, lines())
    return ran
  }

  /** Starts what keeps running and waits until it has printed what the page shows. */
  async #start(command: string, expected: readonly string[], block: Block): Promise<void> {
    const running = this.#spawn(command, { ...block, keepsRunning: true })
    this.#running.push(running)
    const missing = (): string | undefined => this.#transcript.compare(expected, running.lines(), false).missing
    if (missing() !== undefined) {
      const isShown = new Promise<true>((resolve) => {
        running.child.stdout?.on('data', () => missing() === undefined && resolve(true))
      })
      const isOver = Promise.race([running.over, setTimeout(patienceMs, undefined, { ref: false })])
      const shown = await Promise.race([isShown, isOver.then(() => missing() === undefined)])
      if (!shown) this.#fail(block, `${command} does not print: ${missing()}`, running.lines())
    }
    if (/\bforgeq (worker|dev)\b/.test(command)) await this.#seeWorker()
  }

  /** A worker shows itself a moment before it is registered. */
  async #seeWorker(): Promise<void> {
    const store = sqlite(join(this.#folder, defaultFile))
    try {
      while (!(await store.workers()).some(({ closed }) => !closed)) await setTimeout(20)
    } finally {
      await store.close()
    }
  }

  async #end({ child, over, block, lines }: Running): Promise<void> {
    child.kill('SIGTERM')
    const { exitCode } = await this.#finish({ child, over, block, lines })
    if (exitCode !== 0) this.#fail(block, `ends with exit code ${exitCode} after SIGTERM`, lines())
  }

  #fail(block: Block, what: string, lines: readonly string[] = []): never {
    throw new Error(this.#say(block, what, lines))
  }

  #say({ line }: Block, what: string, lines: readonly string[]): string {
    const output = lines.length === 0 ? '' : `\nIt printed:\n${lines.join('\n')}`
    return `${this.#page.path}:${line}: ${what}${output}`
  }
}

interface Step {
  readonly command: string
  readonly expected: readonly string[]
  /** Counted from the first line of the block. */
  readonly line: number
}

function stepsOf(code: string): Step[] {
  const steps: { command: string; expected: string[]; line: number }[] = []
  let isOpen = false
  for (const [line, text] of code.split('\n').entries()) {
    const last = steps.at(-1)
    if (isOpen && last !== undefined) last.command += `\n${text}`
    else if (text.startsWith('$ ')) steps.push({ command: text.slice(2), expected: [], line })
    else last?.expected.push(text)
    isOpen = (isOpen || text.startsWith('$ ')) && text.endsWith('\\')
  }
  return steps.map((step) => ({ ...step, expected: withoutEnd(step.expected) }))
}

const withoutEnd = (lines: readonly string[]): readonly string[] =>
  lines.slice(0, lines.findLastIndex((line) => line !== '') + 1)
