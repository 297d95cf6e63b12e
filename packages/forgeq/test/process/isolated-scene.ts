// A worker in the test's own process on the isolated handlers of one module. Its time stands still, its children are real.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Job, Worker } from 'forgeq'
import { bench, type Bench } from '../worker/bench.ts'

export const moduleOf = (name: string): URL => new URL(`handlers/${name}.js`, import.meta.url)
export const jobOf = (jobs: readonly Job[], name: string): Job => {
  const job = jobs.find((one) => one.name === name)
  assert.ok(job, name)
  return job
}

export interface IsolatedScene extends Bench {
  readonly worker: Worker
  /** Enqueues a job of this type and resolves when its handler runs and says so. */
  readonly begin: (job: Job, input?: unknown) => Promise<string>
}

/** A worker on the handlers of one module. */
export function isolatedScene(t: TestContext, name: string, concurrency = 1): IsolatedScene {
  const here = bench()
  const worker = here.forge.worker({ handlers: [moduleOf(name)], concurrency, signals: false })
  const running = worker.run()
  t.after(async () => {
    await worker.stop({ grace: 0 })
    await running
    await here.close()
  })
  return {
    ...here,
    worker,
    async begin(job, input = {}) {
      const says = here.next('job:log', ({ message, type }) => type === job.name && message === 'in')
      const { id } = await here.forge.enqueue(job, input)
      await says
      return id
    },
  }
}

const ended = ['job:completed', 'job:dead', 'job:retried', 'job:cancelled'] as const

/** Runs one job until its first try has ended. */
export async function tryOnce({ forge, next }: IsolatedScene, job: Job, input: unknown = {}): Promise<string> {
  const end = Promise.race(ended.map((name) => next<(typeof ended)[number]>(name, ({ type }) => type === job.name)))
  const { id } = await forge.enqueue(job, input)
  await end
  return id
}
