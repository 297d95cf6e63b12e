// The thread of the watchdog: looks at the clock and at the process above, and prints what the main thread is doing when it
// is asked to, or before it ends a process that is stuck. Whose handler it is that does not let the event loop go on:
// standstill.ts.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { formatMs } from '../core/duration.ts'
import type { Stuck } from '../store/worker-record.ts'
import { stuckSignal, watchdogPipe, type PipeWord } from './crew-talk.ts'
import type { Sight } from './isolate.ts'
import { lookAtMainThread } from './look.ts'
import { readLines } from './read-lines.ts'
import { Standstill, type Seen } from './standstill.ts'
import {
  testimonySymbol,
  type RunningHandler,
  type Testimony,
  type WatchdogAnswers,
  type WatchdogData,
  type WatchdogWord,
} from './watchdog.ts'

const checkMs = 200
/** In checks. The main thread has 5 s to abort its handlers, to hand their jobs back and to leave. */
const orphanedAfter = 25
/** For a process that catches the signal by which it is ended. */
const killedAfterMs = 2_000
/** An event loop that is free answers within this time. */
const answerWithinMs = 200
/** One that does not hear of a cancel was not free for 5 s; this makes sure that it still is not. */
const sureMs = 1_000
/** Whoever asked for it by a signal waits for it. */
const patientMs = 3_000
/** A terminal signals a process and its supervisor, which passes it on: that is one wish, not two. */
const sameWishMs = 500

const data = workerData as WatchdogData
const port = parentPort!
let orphanedChecks = 0
let shownAt = -Infinity
/** It was told to end, and has said why: who catches the signal lives a little longer, and is asked again. */
let isEnding = false
/** Those who wait for the word of the event loop. */
const asking = new Set<(answers: Partial<WatchdogAnswers>) => void>()

const standstill = new Standstill(data, {
  now: () => process.hrtime.bigint(),
  look: (stack) => look(answerWithinMs, stack),
  isOver: (blocker, seen) => {
    end({ over: 'limit', blocker }, () => printBlocked('is stuck in a handler and ends', seen, blocker))
  },
})

setInterval(() => {
  standstill.check()
  orphanedChecks = process.ppid === data.supervisor ? 0 : orphanedChecks + 1
  if (orphanedChecks >= orphanedAfter) process.kill(process.pid, 'SIGKILL')
}, checkMs)

port.on('message', (word: WatchdogWord) => {
  if (word === 'show') show().catch(report)
  else for (const hear of asking) hear(word)
})

// A main thread that is blocked hears no signal and no supervisor.
const pipe = new Socket({ fd: watchdogPipe, readable: true, writable: false })
// Without its supervisor nobody asks.
readLines(pipe, (line) => {
  const word = JSON.parse(line) as PipeWord
  const answer = word.word === 'show' ? show() : endCancelled(word.job)
  answer.catch(report)
})

/** The supervisor reads why from the pipe, and tells the store. */
function end(stuck: Stuck, say: () => void): void {
  if (isEnding) return
  isEnding = true
  say()
  try {
    writeSync(watchdogPipe, JSON.stringify(stuck))
  } catch {
    // Without a supervisor there is nobody to tell.
  }
  process.kill(process.pid, stuckSignal)
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), killedAfterMs)
}

/** It was cancelled, and its process has not reacted: when the event loop is blocked, that is why. */
async function endCancelled(job: string): Promise<void> {
  if ((await ask('running', sureMs)) !== undefined) return
  const seen = await look(answerWithinMs, true)
  // Where nobody can tell who blocks, the one that does not end when it should is the likeliest.
  const blocker = standstill.called?.job ?? seen.told?.blocker?.job ?? job
  const state = `is stuck in a handler and ends, because job ${job} was cancelled`
  end({ over: 'cancel', blocker }, () => printBlocked(state, seen, blocker))
}

async function show(): Promise<void> {
  if (performance.now() - shownAt < sameWishMs) return
  shownAt = performance.now()
  const running = await ask('running', answerWithinMs)
  if (running === undefined) return printBlocked('is blocked', await look(patientMs, true), standstill.called?.job)
  const isolated = await ask('isolated', patientMs)
  const below = running.length === 0 ? [] : ['its event loop is free: no handler is in JavaScript in it now']
  print('runs', running, below, { isolated })
}

/** `undefined` when the event loop is blocked. */
function ask<Q extends keyof WatchdogAnswers>(question: Q, withinMs: number): Promise<WatchdogAnswers[Q] | undefined> {
  return new Promise((resolve) => {
    const end = (answer?: WatchdogAnswers[Q]): void => {
      clearTimeout(timer)
      asking.delete(hear)
      resolve(answer)
    }
    const hear = (answers: Partial<WatchdogAnswers>): void => {
      if (answers[question] !== undefined) end(answers[question])
    }
    const timer = setTimeout(end, withinMs)
    asking.add(hear)
    port.postMessage(question)
  })
}

async function look(withinMs: number, stack: boolean): Promise<Seen> {
  const { told, ...seen } = await lookAtMainThread({ ask: testimonySymbol, withinMs, stack })
  return told === undefined ? seen : { ...seen, told: JSON.parse(told) as Testimony }
}

function printBlocked(state: string, { told, stack, failure }: Seen, called?: string | null): void {
  const blocker = called ?? told?.blocker?.job
  if (told !== undefined) {
    return print(state, told.running, stack ?? ['it is not in JavaScript, or has no time to answer'], { blocker })
  }
  const whose = blocker === undefined ? [] : [`it is in the handler of job ${blocker}`]
  print(state, undefined, [`its main thread tells nothing: ${failure}`, ...whose])
}

function print(
  state: string,
  running: readonly RunningHandler[] | undefined,
  below: readonly string[],
  { blocker, isolated = [] }: { readonly blocker?: string | undefined; isolated?: readonly Sight[] | undefined } = {},
): void {
  const jobs = running?.flatMap((run) => {
    const sight = isolated.find(({ job }) => job === run.id)
    const note = sight === undefined ? (run.id === blocker ? ', blocks the event loop' : '') : `, in ${sight.place}`
    const line = `  ${run.type} ${run.id}, attempt ${run.attempt}, for ${formatMs(run.forMs)}${note}`
    return sight === undefined ? [line] : [line, ...linesOf(sight).map((each) => `      ${each}`)]
  })
  const count = running === undefined ? '' : `, ${running.length === 1 ? '1 job' : `${running.length} jobs`}`
  const lines = [
    `forgeq worker process ${process.pid} ${state}${count}`,
    ...(jobs ?? []),
    ...below.map((line) => `    ${line}`),
  ]
  writeSync(2, `${lines.join('\n')}\n`)
}

function linesOf({ stack, failure }: Sight): readonly string[] {
  if (failure !== undefined) return [`it tells nothing: ${failure}`]
  return stack.length > 0 ? stack : ['it waits: it is not in JavaScript now']
}

function report(error: unknown): void {
  writeSync(2, `forgeq worker process ${process.pid}: the watchdog cannot show what runs: ${String(error)}\n`)
}
