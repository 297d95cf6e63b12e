// The thread of the watchdog: looks at the clock and at the process above, and prints what the main thread is doing when it
// is asked to, or before it ends a process that is stuck.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { formatMs } from '../core/duration.ts'
import { stuckSignal, watchdogPipe } from './crew-talk.ts'
import { lookAtMainThread, type Look } from './main-thread.ts'
import { runningSymbol, type RunningHandler, type WatchdogData, type WatchdogWord } from './watchdog.ts'

const checkMs = 200
/** In checks. One alone proves nothing: a process that was stopped and goes on is late by any clock. */
const stuckAfter = 2
/** In checks. For a process that catches the signal. */
const killedAfter = 10
/** In checks. The main thread has 5 s to abort its handlers, to hand their jobs back and to leave. */
const orphanedAfter = 25
/** An event loop that is free answers within this time. */
const answerWithinMs = 200
/** Whoever asked for it by a signal waits for it. */
const patientMs = 3_000
/** A terminal signals a process and its supervisor, which passes it on: that is one wish, not two. */
const sameWishMs = 500

const { overdueAt, supervisor } = workerData as WatchdogData
const port = parentPort!
let lateChecks = 0
let orphanedChecks = 0
let shownAt = -Infinity
let look: Promise<Look> | undefined
let hear: (running: readonly RunningHandler[]) => void = () => {}

setInterval(() => {
  lateChecks = isOverdue() ? lateChecks + 1 : 0
  orphanedChecks = process.ppid === supervisor ? 0 : orphanedChecks + 1
  // Looking takes time that the job has no more.
  if (lateChecks === 1) look = lookAtMainThread(runningSymbol, answerWithinMs)
  if (lateChecks === stuckAfter) endStuck().catch(end)
  if (lateChecks >= killedAfter || orphanedChecks >= orphanedAfter) process.kill(process.pid, 'SIGKILL')
}, checkMs)

port.on('message', (word: WatchdogWord) => {
  if (word === 'show') show().catch(report)
  else hear(word.running)
})

// A main thread that is blocked hears no signal and no supervisor.
const pipe = new Socket({ fd: watchdogPipe, readable: true, writable: false })
pipe.on('data', () => {
  show().catch(report)
})
// Without its supervisor nobody asks.
pipe.on('error', () => pipe.destroy())

function isOverdue(): boolean {
  const at = Atomics.load(overdueAt, 0)
  return at !== 0n && process.hrtime.bigint() > at
}

async function endStuck(): Promise<void> {
  const seen = await look!
  // It may have come to itself meanwhile.
  if (!isOverdue()) return
  printBlocked('is stuck in a handler and ends', seen)
  end()
}

function end(): void {
  process.kill(process.pid, stuckSignal)
}

async function show(): Promise<void> {
  if (performance.now() - shownAt < sameWishMs) return
  shownAt = performance.now()
  const running = await askRunning()
  if (running === undefined) return printBlocked('is blocked', await lookAtMainThread(runningSymbol, patientMs))
  print('runs', running, running.length === 0 ? [] : ['its event loop is free: no handler is in JavaScript now'])
}

/** What runs, by word of the event loop; `undefined` when that is blocked. */
function askRunning(): Promise<readonly RunningHandler[] | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), answerWithinMs)
    hear = (running) => {
      clearTimeout(timer)
      resolve(running)
    }
    port.postMessage('running')
  })
}

function printBlocked(state: string, { told, stack, failure }: Look): void {
  if (told === undefined) return print(state, undefined, [`its main thread tells nothing: ${failure}`])
  print(state, JSON.parse(told) as RunningHandler[], stack ?? ['it is not in JavaScript, or has no time to answer'])
}

function print(state: string, running: readonly RunningHandler[] | undefined, below: readonly string[]): void {
  const jobs = running?.map((run) => `  ${run.type} ${run.id}, attempt ${run.attempt}, for ${formatMs(run.forMs)}`)
  const count = jobs === undefined ? '' : `, ${jobs.length === 1 ? '1 job' : `${jobs.length} jobs`}`
  const lines = [
    `forgeq worker process ${process.pid} ${state}${count}`,
    ...(jobs ?? []),
    ...below.map((line) => `    ${line}`),
  ]
  writeSync(2, `${lines.join('\n')}\n`)
}

function report(error: unknown): void {
  writeSync(2, `forgeq worker process ${process.pid}: the watchdog cannot show what runs: ${String(error)}\n`)
}
