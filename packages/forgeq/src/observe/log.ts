// The log: one JSON line per event for programs, one readable line for people. Listens to the engine and is listened to
// by nobody.
import { pino, type Logger } from 'pino'
import type { EngineEvents, EngineListener, JobEvent } from '../core/events.ts'
import type { LogLevel } from './log-level.ts'
import { prettyLine } from './pretty-line.ts'

export type Log = Logger

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  readonly colours: boolean
}

/** Writes to standard output, each line before the call returns: a process that dies next has said it. */
export function createLog({ level, format, colours }: LogOptions): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // A Failure is plain already, and says more than pino would leave of it.
    serializers: { err: (error: unknown) => (error instanceof Error ? pino.stdSerializers.err(error) : error) },
  }
  if (format === 'json') return pino(options, pino.destination({ fd: 1, sync: true }))
  return pino(options, { write: (line: string) => process.stdout.write(`${prettyLine(line, colours)}\n`) })
}

interface Announcing {
  on<E extends keyof EngineEvents>(name: E, listener: EngineListener<E>): () => void
}

/** Logs what the engine announces. */
export function logEvents(events: Announcing, log: Log): void {
  const about = ({ id, type, queue, attempt, worker }: Omit<JobEvent, 'type'> & { type?: string }): object => ({
    jobId: id,
    type,
    queue,
    attempt,
    worker,
  })
  const tried = (event: JobEvent & { durationMs: number }): object => ({
    ...about(event),
    durationMs: Math.round(event.durationMs * 10) / 10,
  })
  if (log.isLevelEnabled('debug')) {
    events.on('job:started', (event) =>
      log.debug({ ...about(event), waitedMs: Math.round(event.waitedMs) }, 'job started'),
    )
  }
  if (log.isLevelEnabled('info')) events.on('job:completed', (event) => log.info(tried(event), 'job completed'))
  events.on('job:retried', (event) => {
    const { delayMs, error } = event
    const words = { ...tried(event), delayMs: Math.round(delayMs), ...(error && { err: error }) }
    if (error === null) log.info(words, 'job put off')
    else log.warn(words, 'job failed, runs again')
  })
  events.on('job:dead', (event) =>
    log.error({ ...tried(event), reason: event.reason, err: event.error }, 'job is dead'),
  )
  events.on('job:cancelled', (event) => log.info(tried(event), 'job cancelled'))
  events.on('job:released', (event) => log.info(about(event), 'job handed back'))
  events.on('job:stuck', (event) => log.warn(tried(event), 'job does not react to its abort, still runs'))
  events.on('job:crashed', (event) => {
    const { dead, error } = event
    const words = { ...about(event), ...(dead && { reason: dead }), err: error }
    if (dead === null) log.warn(words, 'job lost its worker, runs again')
    else log.error(words, 'job lost its worker and is dead')
  })
  events.on('job:log', (event) => log[event.level](about(event), event.message))
  events.on('child:died', ({ id, type, worker, error }) =>
    log.error({ jobId: id, type, worker, err: error }, 'isolated child died after its job had ended'),
  )
  events.on('worker:started', ({ worker, queues, slots }) => log.debug({ worker, queues, slots }, 'worker registered'))
  events.on('worker:closed', ({ worker, reason }) => {
    if (reason === 'lost') log.warn({ worker }, 'worker lost its lease, registers anew')
    else log.debug({ worker }, 'worker left')
  })
  events.on('store:down', ({ error }) => log.error({ err: describe(error) }, 'store does not answer'))
  events.on('store:up', ({ downMs }) => log.info({ durationMs: Math.round(downMs) }, 'store answers again'))
}

const describe = ({ code, name, message }: { code: string; name: string; message: string }): object => ({
  code,
  name,
  message,
})
