// Producers and workers that keep a server busy while it is treated badly, and what must be true of them afterwards.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, ForgeError, ForgeQ, typed } from 'forgeq'
import { postgres } from '#src/postgres/index.js'

const work = defineJob('work', { input: typed<number>(), retries: 0 })

export interface LoadOptions {
  readonly url: string
  readonly schema?: string
  readonly workers: number
  readonly producers: number
}

export class Load {
  readonly #options: LoadOptions
  readonly #forges: ForgeQ[] = []
  readonly #producers: Promise<void>[] = []
  /** Of a job: its claims that were run, in order. */
  readonly #runs = new Map<string, number[]>()
  readonly #accepted = new Set<string>()
  readonly #completed = new Set<string>()
  readonly #waiting = new Set<() => void>()
  readonly #errors: unknown[] = []
  /** Enqueues that failed, by code. */
  readonly failed = new Map<string, number>()
  #isOver = false

  private constructor(options: LoadOptions) {
    this.#options = options
  }

  /** Each worker and producer with connections of its own, as if it were another process. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options)
    for (let i = 0; i < options.workers; i++) await load.#work()
    for (let i = 0; i < options.producers; i++) load.#producers.push(load.#produce())
    return load
  }

  get accepted(): number {
    return this.#accepted.size
  }

  get completed(): number {
    return this.#completed.size
  }

  /** Resolves at the next job whose completion the store has confirmed. */
  completion(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  /** Resolves when so many more jobs have completed. */
  async completions(count: number): Promise<void> {
    for (const end = this.completed + count; this.completed < end;) await this.completion()
  }

  /** Stops producing, waits until all that was accepted is done, and checks that each was done once, by one holder. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#producers)
    while ([...this.#accepted].some((id) => !this.#completed.has(id))) await this.completion()
    const [forge] = this.#forges
    await (await forge!.enqueue(work, 0)).result({ timeout: '5s' })
    const { completed, ready, running, scheduled, dead } = (await forge!.admin.queue('default'))!.counts
    assert.deepEqual([ready, running, scheduled, dead], [0, 0, 0, 0], 'nothing is left over')
    assert.equal(completed, this.#completed.size)
    await Promise.all(this.#forges.map((one) => one.close()))
    assert.deepEqual(this.#errors, [])
    assert.equal(this.#accepted.size + 1, this.#completed.size, 'what was done was accepted')
    for (const [id, claims] of this.#runs) assert.deepEqual(claims, [1], `${id} ran once`)
  }

  #forge(): ForgeQ {
    const { url, schema } = this.#options
    const forge = new ForgeQ({
      store: postgres(url, { ...(schema !== undefined && { schema }), allowUnsafe: true }),
    })
    this.#forges.push(forge)
    return forge
  }

  async #work(): Promise<void> {
    const forge = this.#forge()
    const handler = work.handler(async ({ job }) => {
      this.#runs.set(job.id, [...(this.#runs.get(job.id) ?? []), job.claim])
      await sleep(Math.random() * 5)
    })
    forge.on('job:completed', ({ id }) => {
      this.#completed.add(id)
      for (const resolve of this.#waiting) resolve()
      this.#waiting.clear()
    })
    const started = new Promise((resolve) => void forge.on('worker:started', resolve))
    const running = forge.worker({ handlers: [handler], concurrency: 20, signals: false }).run()
    running.catch((error: unknown) => this.#errors.push(error))
    await started
  }

  /** Repeats what failed with the same id, whatever it was, for as long as it takes. */
  async #produce(): Promise<void> {
    const forge = this.#forge()
    let id: string | undefined
    for (let n = 0; !this.#isOver || id !== undefined; n++) {
      try {
        const handle = await forge.enqueue(work, 0, id === undefined ? {} : { id })
        this.#accepted.add(handle.id)
        id = undefined
      } catch (error) {
        if (!ForgeError.is(error, 'STORE_UNAVAILABLE') && !ForgeError.is(error, 'OUTCOME_UNKNOWN')) {
          this.#errors.push(error)
          return
        }
        this.failed.set(error.code, (this.failed.get(error.code) ?? 0) + 1)
        id = error.id
      }
      await sleep(2)
    }
  }
}
