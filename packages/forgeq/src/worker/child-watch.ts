// The watchdog thread of an isolated process: tells the worker how much memory it takes and, when asked, where its handler
// is, also while that blocks it, and ends it, and what it started, when the worker is gone.
import { Socket } from 'node:net'
import { workerData } from 'node:worker_threads'
import { lookWord, type ChildReport } from './child-talk.ts'
import { lookAtMainThread } from './look.ts'
import { readLines } from './read-lines.ts'

const notableBytes = 1_048_576
/** Far below the second within which a process without its worker has to be gone. */
const checkMs = 250
/** One that runs JavaScript answers in a few milliseconds. */
const answerWithinMs = 300
const { parent, watchPipe } = workerData as { parent: number; watchPipe: number }
let told = 0

const pipe = new Socket({ fd: watchPipe, readable: true, writable: true })
// Without its worker nobody asks, and the next check ends it.
readLines(pipe, (word) => {
  if (word === lookWord) look().catch(report)
})

function send(report: ChildReport): void {
  if (pipe.writable) pipe.write(`${JSON.stringify(report)}\n`)
}

async function look(): Promise<void> {
  send({ report: 'look', look: await lookAtMainThread({ withinMs: answerWithinMs, stack: true }) })
}

function report(error: unknown): void {
  send({ report: 'look', look: { failure: String(error) } })
}

function check(): void {
  if (process.ppid !== parent) killGroup()
  const bytes = process.memoryUsage.rss()
  // A worker that is too busy to read is told when it has read.
  if (Math.abs(bytes - told) < notableBytes || pipe.writableLength > 0) return
  send({ report: 'memory', bytes })
  told = bytes
}

function killGroup(): void {
  if (process.platform !== 'win32') process.kill(-process.pid, 'SIGKILL')
  process.kill(process.pid, 'SIGKILL')
}

setInterval(check, checkMs)
check()
