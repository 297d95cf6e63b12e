// What an isolated child runs, thread or process: hears its worker's orders and ends when that is gone. The one module
// that is only ever started, never imported.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { toFailure } from '../core/failure.ts'
import { watchPipe, type ChildOrder, type ChildReport } from './child-talk.ts'
import { Tasks } from './child-task.ts'

/** Memory is told when it has changed by so much since. */
const notableBytes = 1_048_576
const lookMs = 250
let toldBytes = 0

function send(report: ChildReport): void {
  if (parentPort !== null) parentPort.postMessage(report)
  // Without its worker the process ends, and nobody needs to hear it.
  else if (process.connected) process.send!(report, () => {})
}

let tasks: Tasks | undefined

function hear(order: ChildOrder): void {
  switch (order.order) {
    case 'start':
      tasks = new Tasks(order.defaults, send)
      if (isMainThread) watch(order.parent)
      else setInterval(tellMemory, lookMs).unref()
      tellMemory()
      return send({ report: 'free' })
    case 'run':
      tasks!.run(order.task).catch((error: unknown) => {
        throw error
      })
      return
    case 'abort':
      return tasks!.abort(order)
    case 'end':
      process.exit(0)
  }
}

/** From a thread of its own, which a handler that blocks the process does not stop. */
function watch(parent: number): void {
  const watchdog = new URL('./child-watch.js', import.meta.url)
  new Worker(watchdog, { workerData: { parent, watchPipe }, env: {}, execArgv: [] }).unref()
}

/** That of a process is told by its watchdog as well. */
function tellMemory(): void {
  const bytes = isMainThread ? process.memoryUsage.rss() : process.memoryUsage().heapUsed
  if (Math.abs(bytes - toldBytes) < notableBytes) return
  toldBytes = bytes
  send({ report: 'memory', bytes })
}

process.on('uncaughtExceptionMonitor', (error) => send({ report: 'uncaught', error: toFailure(error) }))
if (parentPort !== null) parentPort.on('message', hear)
else {
  process.title = 'forgeq isolated'
  process.on('message', hear)
  process.on('disconnect', () => process.exit(1))
  // Meant for the worker, which decides what becomes of its children.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {})
}
