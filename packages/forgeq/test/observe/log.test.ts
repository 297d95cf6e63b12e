// The log: what the engine's events become, for programs and for people.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { prettyLine } from '#src/observe/pretty-line.js'

const job = { id: '01a2', type: 'send-mail', queue: 'mails', attempt: 2, worker: '01b3' }
const failure = {
  code: 'HANDLER_ERROR',
  name: 'Error',
  message: 'no such address',
  stack: 'Error: no such address\n  at x',
}

const everything: readonly (readonly [string, object])[] = [
  ['job:started', { ...job, waitedMs: 12.3 }],
  ['job:completed', { ...job, durationMs: 4.56 }],
  ['job:retried', { ...job, durationMs: 4.56, delayMs: 1000.4, error: failure }],
  ['job:retried', { ...job, durationMs: 4.56, delayMs: 1000, error: null }],
  ['job:dead', { ...job, durationMs: 4.56, reason: 'exhausted', error: failure }],
  ['job:cancelled', { ...job, durationMs: 4.56 }],
  ['job:released', job],
  ['job:crashed', { ...job, dead: null, error: failure }],
  ['job:crashed', { ...job, dead: 'poison', error: failure }],
  ['job:log', { ...job, level: 'warn', message: 'slow' }],
  ['worker:started', { worker: '01b3', queues: ['mails'], slots: 10 }],
  ['worker:closed', { worker: '01b3', reason: 'stopped' }],
  ['worker:closed', { worker: '01b3', reason: 'lost' }],
  ['store:down', { error: { code: 'STORE_UNAVAILABLE', name: 'ForgeError', message: 'locked' } }],
  ['store:up', { downMs: 99.9 }],
]

const built = (path: string): string => new URL(`../../dist/${path}`, import.meta.url).href

/** Logs `events` in a process of its own, because the log writes to standard output. */
const logged = (level: string, format: string, events = everything): string[] =>
  printed(`
    import { createLog, logEvents } from '${built('observe/log.js')}'
    import { Emitter } from '${built('emitter.js')}'
    const events = new Emitter()
    logEvents(events, createLog({ level: '${level}', format: '${format}', colours: false }))
    for (const [name, event] of ${JSON.stringify(events)}) events.emit(name, event)`)

function printed(program: string): string[] {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  assert.equal(stderr, '')
  return stdout.split('\n').filter((line) => line !== '')
}

test('every event is one JSON line with the agreed names', () => {
  const lines = logged('debug', 'json').map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    lines.map(({ level, msg }) => `${String(level)} ${String(msg)}`),
    [
      'debug job started',
      'info job completed',
      'warn job failed, runs again',
      'info job put off',
      'error job is dead',
      'info job cancelled',
      'info job handed back',
      'warn job lost its worker, runs again',
      'error job lost its worker and is dead',
      'warn slow',
      'debug worker registered',
      'debug worker left',
      'warn worker lost its lease, registers anew',
      'error store does not answer',
      'info store answers again',
    ],
  )
  const { time, level, msg, ...fields } = lines[4]!
  assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/)
  assert.deepEqual(fields, {
    jobId: '01a2',
    type: 'send-mail',
    queue: 'mails',
    attempt: 2,
    worker: '01b3',
    durationMs: 4.6,
    reason: 'exhausted',
    err: failure,
  })
  assert.deepEqual([level, msg], ['error', 'job is dead'])
})

test('an error that crossed the thread of the store is logged with its class', () => {
  const [line] = printed(`
    import { createLog } from '${built('observe/log.js')}'
    import { ForgeQ } from '${built('forge.js')}'
    const log = createLog({ level: 'info', format: 'json', colours: false })
    // Below a file there is no folder.
    const forge = new ForgeQ({ store: 'sqlite:' + process.execPath + '/jobs.db' })
    await forge.ready().catch((err) => log.error({ err }, 'failed'))`)
  const { err } = JSON.parse(line!) as { err: Record<string, string> }
  assert.deepEqual([err['type'], err['code']], ['ForgeError', 'STORE_UNAVAILABLE'])
})

test('the level decides what is written', () => {
  const levels = (level: string): string[] => [
    ...new Set(logged(level, 'json').map((line) => (JSON.parse(line) as { level: string }).level)),
  ]
  assert.deepEqual(levels('info').toSorted(), ['error', 'info', 'warn'])
  assert.deepEqual(levels('error'), ['error'])
  assert.deepEqual(levels('silent'), [])
})

test('people read one line per event', () => {
  const lines = logged('info', 'pretty')
  assert.match(lines[0]!, /^\d\d:\d\d:\d\d info {2}job completed {2}send-mail · 01a2 · attempt 2 · 4\.6 ms$/)
  assert.match(lines[1]!, /warn {2}job failed, runs again .* · again in 1000 ms Error: no such address$/)
})

test('what a job says cannot take over the terminal', () => {
  const line = prettyLine(
    JSON.stringify({ level: 'info', time: 0, msg: 'a\u001B[2J', err: { message: 'b\u001B[1m\nc' } }),
    false,
  )
  assert.equal(line.includes('\u001B'), false)
  assert.equal(line.split('\n').length, 1)
})
