// Named places at which tests put a fault: the process dies there, stalls, or an answer gets lost. Each is a no-op unless
// FORGEQ_FAILPOINTS was set when the thread started. For tests only.
import { appendFileSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'

/**
 * Calls to the store, `before-send` (nothing happened yet), `after-commit` (it did, nobody knows) and `after-reply` (the
 * caller's thread knows, the caller does not); then places between two calls.
 */
export const failpoints = [
  'enqueue.before-send',
  'enqueue.after-commit',
  'enqueue.after-reply',
  'register.before-send',
  'register.after-commit',
  'register.after-reply',
  'exchange.before-send',
  'exchange.after-commit',
  'exchange.after-reply',
  'beat.before-send',
  'beat.after-commit',
  'beat.after-reply',
  'leave.before-send',
  'leave.after-commit',
  'leave.after-reply',
  'lost.before-send',
  'lost.after-commit',
  'lost.after-reply',
  'settle.before-send',
  'settle.after-commit',
  'settle.after-reply',
  'promote.before-send',
  'promote.after-commit',
  'promote.after-reply',
  'worker.after-claim',
  'worker.before-handler',
  'worker.after-handler',
  'worker.before-settle',
  'rescue.after-lost',
  'supervisor.after-death',
  'move.after-close',
  'move.after-page',
  'move.before-open',
  'move.before-reopen',
] as const

interface Fault {
  readonly text: string
  readonly act: (name: string) => void
  readonly isDue: (time: number) => boolean
  times: number
}

let faults: ReadonlyMap<string, Fault> | undefined

/** Called at the place of that name; throws where a fault says that the call fails there. */
export function failpoint(name: string): void {
  if (faults !== undefined) strike(name, faults)
}

/**
 * Puts faults in place of those before; none for `''`. `name=action@when`, several with `;`: actions `kill`, `exit(code)`
 * (of a thread: its calls are never answered), `stall(ms)`, which blocks the thread, and `throw`, in calls only: an answer
 * that got lost. When: `3` the third time, `0.01` by chance, always without. CONFIG for anything else.
 */
export function setFailpoints(text: string): void {
  const entries = text.split(';').filter((part) => part.trim() !== '')
  faults = entries.length === 0 ? undefined : new Map(entries.map((entry) => parse(entry.trim())))
}

const shape = /^([\w.-]+)=(kill|throw|exit\((\d+)\)|stall\((\d+)\))(?:@([1-9]\d*|0?\.\d+))?$/

function parse(entry: string): [string, Fault] {
  const [, name = '', action = '', code, ms, when] = shape.exec(entry) ?? []
  const isCall = /\.(before-send|after-commit|after-reply)$/.test(name)
  if (!(failpoints as readonly string[]).includes(name) || (action === 'throw' && !isCall)) {
    throw new ForgeError(
      'CONFIG',
      `FORGEQ_FAILPOINTS: ${entry} is not name=action@when with a name from ${import.meta.url}`,
    )
  }
  return [name, { text: entry, act: actOf(action, Number(code ?? ms)), isDue: dueOf(when), times: 0 }]
}

function actOf(action: string, value: number): Fault['act'] {
  switch (action.slice(0, 4)) {
    case 'kill':
      return () => process.kill(process.pid, 'SIGKILL')
    case 'exit':
      return () => process.exit(value)
    case 'stal':
      return () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, value)
    default:
      return loseAnswer
  }
}

function dueOf(when: string | undefined): Fault['isDue'] {
  if (when === undefined) return () => true
  return when.includes('.') ? () => Math.random() < Number(when) : (time) => time === Number(when)
}

function loseAnswer(name: string): never {
  const code = name.endsWith('.before-send') ? 'STORE_UNAVAILABLE' : 'OUTCOME_UNKNOWN'
  throw new ForgeError(code, `a fault at ${name}: the call may be repeated`)
}

function strike(name: string, all: ReadonlyMap<string, Fault>): void {
  const fault = all.get(name)
  if (fault === undefined) return
  fault.times += 1
  if (!fault.isDue(fault.times)) return
  const log = process.env['FORGEQ_FAILPOINT_LOG']
  // Before the act: some leave nobody to write.
  if (log !== undefined) appendFileSync(log, `${fault.text} ${process.pid} ${Number(process.hrtime.bigint()) / 1e6}\n`)
  fault.act(name)
}

setFailpoints(process.env['FORGEQ_FAILPOINTS'] ?? '')
