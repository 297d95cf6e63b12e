// The handlers of a torture run, wherever they run: each writes the history of its starts, effects, aborts and ends. Loaded by
// worker processes and by their threads and processes for isolated handlers.
import { setTimeout as wait } from 'node:timers/promises'
import { ForgeError, RateLimited, RetryIn, type Context, type Handler } from 'forgeq'
import { openHistory } from './history.ts'
import { readSurroundings } from './surroundings.ts'
import { behaviourOf, jobs, type Kind, type Load } from './workload.ts'

const { folder, home } = readSurroundings()
const note = openHistory(folder, home === process.pid ? 'worker' : 'child')

/** Between two signs of life of a handler that lets nothing else run. */
const signMs = 200
const snoozeMs = 400

export const handlers: readonly Handler[] = (Object.keys(jobs) as Kind[]).map((kind) =>
  jobs[kind].handler(async (context: Context<Load>) => {
    const { input, signal } = context
    const { id: job, claim } = context.job
    note({ e: 'start', job, claim, home, payload: JSON.stringify(input) })
    signal.addEventListener('abort', () => {
      const code = ForgeError.is(signal.reason) ? signal.reason.code : 'unknown'
      note({ e: 'abort', job, claim, code })
    })
    try {
      await behave(kind, context, () => note({ e: 'sign', job, claim }))
      note({ e: 'effect', job, claim })
    } finally {
      note({ e: 'end', job, claim })
    }
  }),
)

async function behave(kind: Kind, { input, job, signal, enqueue }: Context<Load>, sign: () => void): Promise<void> {
  const behaviour = behaviourOf(kind)
  if (behaviour === 'poison') process.kill(process.pid, 'SIGKILL')
  if (behaviour === 'endless') block(Infinity, sign)
  if (behaviour === 'blocking') block(input.ms, sign)
  else if (input.ms > 0) await wait(input.ms, undefined, { signal })
  if (behaviour === 'failing' && job.attempt <= input.failures)
    throw new Error(`try ${job.attempt} of ${input.failures} fails`)
  if (behaviour === 'snoozing' && job.claim <= input.failures) throw new RetryIn(snoozeMs, { countAttempt: false })
  if (behaviour === 'limiting' && job.claim <= input.failures)
    throw new RateLimited(input.holdBack!.ms, input.holdBack!.scope)
  for (let i = 1; i <= input.children; i += 1) {
    enqueue(jobs.plain, { ...input, n: `${input.n}.${i}`, children: 0 }, i === 1 ? {} : { delay: 200 * i })
  }
}

function block(ms: number, sign: () => void): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4))
  for (let left = ms; left > 0; left -= signMs) {
    Atomics.wait(nothing, 0, 0, Math.min(left, signMs))
    sign()
  }
}
