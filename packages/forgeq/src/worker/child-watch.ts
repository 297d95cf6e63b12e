// The watchdog thread of an isolated process: tells the worker how much memory it takes, also while a handler blocks it,
// and ends it, and what it started, when the worker is gone.
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

const notableBytes = 1_048_576
/** Far below the second within which a process without its worker has to be gone. */
const lookMs = 250
const { parent, memoryPipe } = workerData as { parent: number; memoryPipe: number }
let told = 0

function look(): void {
  if (process.ppid !== parent) killGroup()
  const bytes = process.memoryUsage.rss()
  if (Math.abs(bytes - told) < notableBytes) return
  try {
    writeSync(memoryPipe, `${bytes}\n`)
    told = bytes
  } catch {
    // The worker is too busy to read: the next look tells it.
  }
}

function killGroup(): void {
  if (process.platform !== 'win32') process.kill(-process.pid, 'SIGKILL')
  process.kill(process.pid, 'SIGKILL')
}

setInterval(look, lookMs)
look()
