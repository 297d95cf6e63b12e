// What tables say is what the code says.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { api } from 'forgeq/server'
import { testForge } from 'forgeq/testing'
import { settings } from '#src/cli/settings.js'
import { caps, defaults } from '#src/core/caps.js'
import { errorCodes } from '#src/core/errors.js'
import { enqueueOptions } from '#src/core/new-job.js'
import { keepCancelledMs, keepDeadMs, rememberMs } from '#src/core/retention.js'
import { batchLimit } from '#src/store/store.js'
import { foreignConnection, openStore, temporaryFile } from '../sqlite/files.ts'
import { readPage, root } from './pages.ts'
import { tablesOf, withoutTicks, type Table } from './tables.ts'

function tableOf(path: string, firstTitle: string): Table {
  const table = tablesOf(readPage(path)).find(({ head }) => head[0] === firstTitle)
  assert.ok(table !== undefined, `${path} has no table whose first title is ${firstTitle}`)
  return table
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const
function time(ms: number): string {
  const [unit, size] = units.find(([, inMs]) => ms % inMs === 0) ?? ['ms', 1]
  return `${ms / size} ${unit}`
}
const size = (bytes: number): string => (bytes % 1_048_576 === 0 ? `${bytes / 1_048_576} MiB` : `${bytes / 1024} KiB`)
const count = (n: number): string => n.toLocaleString('en')

test('README has every default, and no other', () => {
  const rows: Record<string, [cell: string, note: string]> = {
    queue: [`\`${defaults.queue}\``, ''],
    priority: [String(defaults.priority), '`normal`; `high` is 2, `low` is 8'],
    'retries after the first try': [String(defaults.retries), `at most ${count(caps.retries)}`],
    backoff: [
      `${time(defaults.backoffBaseMs)}, factor ${defaults.backoffFactor}, up to ${time(defaults.backoffMaxMs)}`,
      'half of it random',
    ],
    'timeout of a try': [time(defaults.timeoutMs), '`0`: none'],
    'completed jobs and results kept': [time(defaults.keepResultMs), ''],
    'dead jobs kept': [time(keepDeadMs), ''],
    'cancelled jobs kept': [time(keepCancelledMs), ''],
    'ids of ended jobs remembered': [time(rememberMs), 'at least'],
    'jobs at a time in a worker': [String(defaults.concurrency), ''],
    'grace at shutdown': [time(defaults.graceMs), ''],
    'of `--shutdown-timeout`, for handing jobs back': [time(defaults.handBackMs), ''],
    'lease of a worker': [time(defaults.leaseMs), `${time(caps.leaseMinMs)} to ${time(caps.leaseMaxMs)}`],
    "a worker's sign of life": [time(defaults.beatMs), ''],
    'poll when hints are lost': [`${time(defaults.pollBusyMs)} to ${time(defaults.pollIdleMs)}`, ''],
    'an enqueue is sent again for': [time(defaults.enqueueDeadlineMs), ''],
  }
  assert.equal(Object.keys(defaults).length, 16, 'a default came or went: the table above and README must follow')
  const expected = Object.entries(rows).map(([what, cells]) => [what, ...cells])
  assert.deepEqual(tableOf('README.md', 'default').rows, expected)
})

test('README has every limit, and no other', () => {
  const rows = {
    'payload, as JSON': size(caps.payloadBytes),
    'result, as JSON': size(caps.resultBytes),
    'nesting of JSON': String(caps.jsonDepth),
    'names of types and queues': `${caps.nameLength} characters`,
    'unique key': `${caps.uniqueLength} characters`,
    'key, for limits': `${caps.keyLength} characters`,
    'tags of a job': `${caps.tags} of ${caps.tagLength} characters`,
    'delays in a backoff list': String(caps.backoffDelays),
    'log of a job': `${count(caps.logLines)} lines or ${size(caps.logBytes)}`,
    'attempts kept with their errors': `${caps.attemptsKept} of ${size(caps.errorBytes)}`,
    'crashes until a job is set aside': String(caps.crashes),
    "an id's time may be off by": time(caps.idDriftMs),
    'rate of a queue, a priority or a key': `up to ${count(caps.rateMax)} starts in ${time(caps.ratePerMinMs)} to ${time(caps.ratePerMaxMs)}`,
    'jobs of a queue that run at a time, where limited': `up to ${count(caps.queueConcurrency)}`,
    'jobs of a key that run at a time, where limited': `up to ${count(caps.keyConcurrency)}`,
    'jobs that wait in a queue, where limited': `up to ${count(caps.queueDepth)}`,
    'enqueues of a process that wait for the store': count(caps.enqueuesWaiting),
    'jobs in one call to the store': count(batchLimit),
  }
  assert.equal(Object.keys(caps).length, 25, 'a limit came or went: the table above and README must follow')
  assert.deepEqual(tableOf('README.md', 'limit').rows, Object.entries(rows))
})

test('every error code is explained, with its HTTP status and exit code', () => {
  const told = tableOf('docs/errors.md', 'code').rows
  const expected = Object.entries(errorCodes).map(([code, { status, exit, retryable }]) => [
    `\`${code}\``,
    String(status),
    String(exit),
    retryable ? 'yes' : 'no',
  ])
  assert.deepEqual(
    told.map((row) => row.slice(0, 4)),
    expected,
  )
  for (const [code, , , , what] of told) assert.ok(what, `nothing is said about ${code}`)
})

test('every exit code is explained', () => {
  const told = tableOf('docs/cli.md', 'code').rows.flatMap(([codes = '']) => codes.split(', ').map(Number))
  const known = new Set([0, 8, 130, 143, ...Object.values(errorCodes).map(({ exit }) => exit)])
  assert.deepEqual(
    told,
    [...known].sort((a, b) => a - b),
  )
})

test('every setting is explained, with its name in files and its default', () => {
  const told = tableOf('docs/configuration.md', 'variable').rows.map((row) => row.slice(0, 3).map(withoutTicks))
  const expected = Object.values(settings).map(({ variable, key, default: value, show }) => [
    variable,
    key,
    (show as (value: unknown) => string)(value),
  ])
  assert.deepEqual(told, expected)
})

test('every part of a policy is explained', () => {
  const told = tableOf('docs/jobs.md', 'in the definition').rows.map(([name = '']) => withoutTicks(name))
  const policy = testForge().explain(defineJob('any', { input: typed<void>() }))
  assert.deepEqual(told, ['input', 'output', ...Object.keys(policy)])
})

interface Measured {
  readonly rows: readonly {
    readonly scenario: string
    readonly task: string
    readonly figure: string
    readonly unit: string
    readonly cells: Readonly<Record<string, { readonly median: number } | undefined>>
  }[]
}

test('figures are those that were measured', () => {
  const shown = {
    'enqueue, one awaited at a time': ['enqueue-one', '', 'rate'],
    'enqueue, one awaited at a time, half within': ['enqueue-one', '', 'p50'],
    'enqueue, 50 callers at once': ['enqueue-concurrent', '', 'rate'],
    'enqueue in batches of 1,000': ['enqueue-many', '', 'rate'],
    'claim and complete, 10 slots': ['work', 'concurrency 10', 'rate'],
    'claim and complete, 100 slots': ['work', 'concurrency 100', 'rate'],
    'enqueue, claim and complete at the same time': ['life', '', 'rate'],
    'idle: from enqueue to the start of the handler, half within': ['idle-latency', 'one process', 'p50'],
    'the same across two processes, half within': ['idle-latency', 'two processes', 'p50'],
  } as const
  const { rows } = JSON.parse(readFileSync(join(root, 'bench/results/sqlite.json'), 'utf8')) as Measured
  const expected = Object.entries(shown).flatMap(([what, [scenario, task, figure]]) => {
    const row = rows.find((one) => one.scenario === scenario && one.task === task && one.figure === figure)
    if (row === undefined) return []
    return [[what, ...['forgeq', 'forgeq-relaxed'].map((id) => rounded(row.cells[id]?.median, row.unit))]]
  })
  assert.deepEqual(tableOf('docs/sqlite.md', 'one process').rows, expected)
})

/** To two digits: more would differ from run to run. */
const rounded = (value: number | undefined, unit: string): string =>
  value === undefined ? '–' : `${Number(value.toPrecision(2)).toLocaleString('en')} ${unit}`

const help = (...path: readonly string[]): string =>
  execFileSync(process.execPath, [join(root, 'packages/forgeq/bin/forgeq.js'), ...path, '--help'], { encoding: 'utf8' })

test('every column of the enqueue view is explained', async (t) => {
  const path = temporaryFile(t)
  await openStore(t, path).open()
  const columns = foreignConnection(t, path).prepare(`SELECT name FROM pragma_table_info('forgeq_enqueue')`).all()
  const told = tableOf('docs/sqlite.md', 'column').rows.flatMap(([names = '']) => withoutTicks(names).split(', '))
  assert.deepEqual(told.sort(), columns.map((column) => (column as { name: string }).name).sort())
})

test('every option of an enqueue from SQL is named', () => {
  const { rows } = tableOf('docs/postgres.md', 'in SQL')
  const [, told = ''] = rows.find(([name = '']) => withoutTicks(name) === 'options')!
  for (const option of enqueueOptions) assert.ok(told.includes(`\`${option}\``), option)
})

test('every command is explained, and no other', () => {
  const below = (...path: readonly string[]): string[] => {
    const [, list = ''] = help(...path).split('\nCommands:\n')
    return [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  }
  const known = below().flatMap((name) => {
    const inside = below(name)
    return inside.length === 0 ? [name] : inside.map((verb) => `${name} ${verb}`)
  })
  const told = tablesOf(readPage('docs/cli.md'))
    .flatMap(({ rows }) => rows.map(([first = '']) => first))
    .flatMap((cell) => [...cell.matchAll(/`forgeq ((?:[a-z]+ ?)+)/g)].map(([, words = '']) => words.trim()))
  assert.deepEqual([...new Set(told)].sort(), known.sort())
})

test('every route that is listed is there', async () => {
  const forge = testForge()
  const { fetch } = api({ forge })
  for (const [cell = ''] of tableOf('docs/http.md', 'request').rows) {
    const [method = '', path = ''] = withoutTicks(cell).split(' ')
    const url = `http://localhost${path.replaceAll(/\{\w+\}/g, 'some')}`
    const answer = (await (await fetch(new Request(url, { method }))).json()) as { code?: string; detail?: string }
    assert.notEqual(answer.code, 'METHOD_NOT_ALLOWED', cell)
    assert.doesNotMatch(answer.detail ?? '', /nothing at/, cell)
  }
  await forge.close()
})
