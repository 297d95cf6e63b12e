// `forgeq move`: all jobs from one store to another, while nobody works on either; and back, as long as nothing has happened.
import type { Command } from 'commander'
import { formatMs } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import { states, type State } from '../core/states.ts'
import { countsOf, jobsIn, move, type QueueCounts } from '../maintain/move.ts'
import { moveBack } from '../maintain/move-back.ts'
import { describeLive } from '../maintain/vacant.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { fileOf, maskUrl, splitUrl } from '../store/url.ts'
import { printTable, say } from './output.ts'
import { progressLine, type ProgressLine } from './progress-line.ts'

interface MoveFlags {
  readonly from: string
  readonly to: string
  readonly plan?: true
  readonly undo?: true
  readonly json?: true
}

export function define(command: Command): void {
  command
    .requiredOption('--from <url>', 'the source: where the jobs are')
    .requiredOption('--to <url>', 'the target: an empty store, or what an interrupted move has put there')
    .option('--plan', 'only count what would be moved, and say what is in the way')
    .option('--undo', 'take a move back: as long as nothing has happened in the target, the source goes on')
    .option('--json', 'JSON for programs')
    .addHelpText(
      'after',
      '\nStop workers, servers and producers of both stores first. The source keeps its jobs, but is paused and takes no new\n' +
        'ones from the first step on; the target works when all of it was compared. Interrupted, run it again.',
    )
    .action(run)
}

async function run(flags: MoveFlags): Promise<void> {
  if (flags.plan && flags.undo)
    throw new ForgeError('USAGE', '--plan counts what a move would do; leave it out with --undo')
  for (const url of [flags.from, flags.to]) refuseMemory(url)
  if (flags.from === flags.to)
    throw new ForgeError('USAGE', '--from and --to are the same store: nothing is to be moved')
  const from = await openStore(flags.from)
  const to = await openStore(flags.to)
  try {
    if ((await from.migrate('plan')).version === 0) {
      throw new ForgeError(
        'STORE_UNAVAILABLE',
        `there is no store at ${maskUrl(flags.from)}: --from says where the jobs are`,
      )
    }
    await from.open()
    if (flags.plan) await plan(from, to, flags)
    else if (flags.undo) await undo(from, to, flags)
    else await moveAll(from, to, flags)
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

function refuseMemory(url: string): void {
  const parts = splitUrl(url)
  if (parts?.scheme !== 'sqlite' || fileOf(parts) !== ':memory:') return
  throw new ForgeError('CONFIG', `the store ${url} ends with this process; give it a file, as in sqlite:jobs.db`)
}

/** Changes nothing, and makes no store that is not there. */
async function plan(from: Store, to: Store, flags: MoveFlags): Promise<void> {
  const queues = countsOf(await from.queues())
  const obstacles = await obstaclesIn(from, 'the source')
  if ((await to.migrate('plan')).version > 0) {
    obstacles.push(...(await obstaclesIn(to, 'the target')))
    const there = countsOf(await to.queues()).reduce((sum, { counts }) => sum + jobsIn(counts), 0)
    if (there > 0) obstacles.push(`the target has ${inWords(there)}: fine if an interrupted move has put them there`)
  }
  if (flags.json) return console.log(JSON.stringify({ ...totals(queues, flags), plan: true, obstacles }))
  printCounts(queues)
  for (const obstacle of obstacles) say(obstacle)
  say(`Would move ${inWords(sum(queues))}.`)
}

async function obstaclesIn(store: Store, name: string): Promise<string[]> {
  const { now } = await store.open()
  const live = describeLive(await store.workers(), now)
  const running = (await store.queues()).reduce((count, { counts }) => count + counts.running, 0)
  return [
    ...(live === undefined ? [] : [`${name}: ${live}`]),
    ...(running === 0 ? [] : [`${name}: ${inWords(running)} running; those of dead workers come back before the move`]),
  ]
}

async function undo(from: Store, to: Store, flags: MoveFlags): Promise<void> {
  if ((await to.migrate('plan')).version === 0) {
    throw new ForgeError(
      'STORE_UNAVAILABLE',
      `there is no store at ${maskUrl(flags.to)}: --to says where jobs were moved to`,
    )
  }
  const queues = await moveBack({ from, to }, sayWaiting())
  if (flags.json) return console.log(JSON.stringify({ ...totals(queues, flags), undone: true }))
  printCounts(queues)
  say(`${maskUrl(flags.from)} works again, as before the move. ${maskUrl(flags.to)} hands out nothing: throw it away.`)
}

async function moveAll(from: Store, to: Store, flags: MoveFlags): Promise<void> {
  await sayClocks(from, to)
  const lines: ProgressLine[] = []
  const passed = (jobs: number, pass: number): void =>
    (lines[pass] ??= progressLine(pass === 1 ? 'moved' : 'compared')).show(jobs)
  let moved
  try {
    moved = await move({ from, to }, { passed, waits: sayWaiting() })
  } catch (error) {
    throw explained(error)
  } finally {
    for (const line of Object.values(lines)) line.end()
  }
  const { queues, loaded, late } = moved
  if (late.length > 0) process.exitCode = 8
  if (flags.json) return console.log(JSON.stringify({ ...totals(queues, flags), loaded, late }))
  printCounts(queues)
  const already = sum(queues) - loaded
  say(
    `Moved ${inWords(loaded)}${already > 0 ? `, ${already.toLocaleString('en')} were there already` : ''}; all compared.`,
  )
  if (late.length > 0)
    say(`Left behind, as they are new since then: ${late.join(', ')}. Run it again before anything works there.`)
  say(`The jobs work at ${maskUrl(flags.to)} from now on: give it to workers, servers and producers.`)
  say(
    `${maskUrl(flags.from)} keeps its copy, paused and closed. \`forgeq move --undo\` with the same URLs takes it back.`,
  )
}

/** What a store that was away, or a fault on the way to it, means here. */
function explained(error: unknown): unknown {
  if (!ForgeError.is(error, 'STORE_UNAVAILABLE') && !ForgeError.is(error, 'OUTCOME_UNKNOWN')) return error
  return new ForgeError(error.code, `${error.message}; the move is not over: run the same command again`, {
    cause: error,
  })
}

const muchMs = 60_000

/** Instants come along as they are: it is the clock of the target that they mean something to from now on. */
async function sayClocks(from: Store, to: Store): Promise<void> {
  const aheadMs = (await to.open()).now - (await from.open()).now
  if (Math.abs(aheadMs) < muchMs) return
  const which = aheadMs > 0 ? 'ahead of' : 'behind'
  say(`The clock of the target is ${formatMs(Math.abs(aheadMs))} ${which} that of the source: what is due follows it.`)
}

const sayWaiting = (): (() => void) => {
  let isSaid = false
  return () => {
    if (!isSaid) say('Waiting for the lease of a dead worker: its jobs come back first.')
    isSaid = true
  }
}

const sum = (queues: readonly QueueCounts[]): number => queues.reduce((jobs, { counts }) => jobs + jobsIn(counts), 0)

const inWords = (jobs: number): string => `${jobs.toLocaleString('en')} ${jobs === 1 ? 'job' : 'jobs'}`

const totals = (queues: readonly QueueCounts[], { from, to }: MoveFlags): object => ({
  from: maskUrl(from),
  to: maskUrl(to),
  jobs: sum(queues),
  queues,
})

function printCounts(queues: readonly QueueCounts[]): void {
  if (queues.length === 0) return
  const column = (state: State) => ({
    title: state.toUpperCase(),
    cell: ({ counts }: QueueCounts) => (counts[state] === 0 ? '' : counts[state].toLocaleString('en')),
    align: 'right' as const,
  })
  printTable(queues, [
    { title: 'QUEUE', cell: ({ queue }: QueueCounts) => queue, shrinks: true },
    ...states.map(column),
  ])
}
