// Handlers that throw and return what no handler should, and what steers a job, each once for every isolation.
import { Discard, defineJob, ForgeError, RateLimited, RetryIn, typed, type Handler, type Job } from 'forgeq'
import { z } from 'zod'

export const isolations = ['inline', 'thread', 'process'] as const
export type Isolation = (typeof isolations)[number]

type Then = (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void

/** A promise of somebody else's making. */
const thenable = (then: Then): unknown => Object.fromEntries(new Map([['then', then]]))

const raise = (error: unknown): never => {
  throw error as Error
}

class Refusal extends Error {
  readonly waitMs = 7_000
  constructor(message: string) {
    super(message)
    this.name = 'Refusal'
  }
}

class Point {
  readonly x = 1
  readonly #hidden = 2
  sum(): number {
    return this.x + this.#hidden
  }
}

const hostile = (): Error =>
  new Proxy(new Error('x'), {
    get: () => raise(new Error('trap')),
    getPrototypeOf: () => raise(new Error('trap')),
    has: () => raise(new Error('trap')),
    ownKeys: () => raise(new Error('trap')),
  })

const lying = (): Error =>
  Object.defineProperties(
    new Error('x'),
    Object.fromEntries(
      ['name', 'message', 'stack', 'cause', 'code', 'problems'].map((key) => [
        key,
        { get: () => raise(new Error('getter')) },
      ]),
    ),
  )

const cycle = (): object => {
  const value: { self?: unknown } = {}
  value.self = value
  return value
}

/** Name -> what the handler does. */
export const oddities: Readonly<Record<string, (log: (text: string) => void) => unknown>> = {
  'throws-null': () => raise(null),
  'throws-undefined': () => raise(undefined),
  'throws-proxy': () => raise(hostile()),
  'throws-lying-error': () => raise(lying()),
  'throws-5mb': () => raise(new Error('x'.repeat(5_000_000))),
  'throws-a-text': () => raise('just words'),
  'throws-with-causes': () => raise(new TypeError('outer', { cause: new RangeError('inner', { cause: 'root' }) })),
  'rejects-late': async () => {
    await Promise.resolve()
    raise(null)
  },
  'returns-bigint': () => 1n,
  'returns-cycle': cycle,
  'returns-10mb': () => 'x'.repeat(10_000_000),
  'returns-instance': () => new Point(),
  'returns-function': () => () => 1,
  'returns-undefined': () => undefined,
  'returns-hostile': hostile,
  'returns-nul-and-surrogate': () => 'a\u0000b\ud800c',
  'settles-twice': () =>
    thenable((resolve, reject) => {
      resolve(1)
      reject(new Error('second'))
      resolve(2)
    }),
  'then-throws': () => thenable(() => raise(new Error('then'))),
  'goes-on-after-its-end': (log) => {
    setImmediate(() => log('too late'))
    setTimeout(() => log('much too late'), 1)
    return 'done'
  },
  'makes-noise': () => {
    for (let i = 0; i < 3; i += 1) console.debug(' '.repeat(10))
    return 'heard'
  },
  discards: () => raise(new Discard('bounces')),
  'retries-in': () => raise(new RetryIn('10s', { countAttempt: false, message: 'later' })),
  'is-rate-limited': () => raise(new RateLimited('10s', 'key', { message: 'slow down' })),
  'throws-a-code': () =>
    raise(new ForgeError('NOT_FOUND', 'no such user', { id: 'x', problems: [{ path: 'a', message: 'b' }] })),
  'throws-cancelled': () => raise(new ForgeError('CANCELLED', 'of its own')),
}

const once = { input: typed<unknown>(), retries: 0 } as const

/** `inline:throws-null` and so on. */
export const odd: readonly (Handler & Job)[] = isolations.flatMap((isolation) =>
  Object.entries(oddities).map(([name, act]) =>
    defineJob(`${isolation}:${name}`, { ...once, isolation }, ({ log }) => act((text) => log.info(text))),
  ),
)

const after = defineJob('after', { input: typed<{ n: number }>(), queue: 'elsewhere' })
const positive = z.number().refine(async (n) => Promise.resolve(n > 0), 'must be positive')
const late = defineJob('late', { input: positive, queue: 'elsewhere' })

/** What a handler does beside returning, for each isolation. */
export const able: readonly (Handler & Job)[] = isolations.flatMap((isolation) => {
  const how = { ...once, isolation }
  const dated = defineJob(`${isolation}:dated`, {
    ...how,
    input: z.object({ at: z.coerce.date() }),
    output: z.object({ at: z.date().transform((date) => date.getTime()) }),
  })
  return [
    defineJob(`${isolation}:talks`, how, ({ log, progress }) => {
      log.info('sent %d of', 1, { all: 2 })
      log.error('x'.repeat(100_000))
      progress(1, 4)
      progress(3, 4, 'almost')
    }),
    defineJob(`${isolation}:knows`, how, ({ job, input }) => ({ ...job, input })),
    defineJob(`${isolation}:enqueues`, { ...how, input: typed<number>() }, ({ input, enqueue }) => {
      enqueue(late, input)
      return enqueue(after, { n: 1 }, { delay: '1m', tags: ['made'] })
    }),
    defineJob(
      `${isolation}:asks-backoff`,
      {
        ...how,
        retries: 3,
        // Knows its own errors only by their class.
        backoff: (failures, error) => (error instanceof Refusal ? error.waitMs * failures : '1h'),
      },
      () => raise(new Refusal('not now')),
    ),
    defineJob(`${isolation}:breaks-backoff`, { ...how, retries: 3, backoff: () => raise(new Error('oops')) }, () =>
      raise(new Error('not now')),
    ),
    Object.assign(
      {},
      dated,
      dated.handler(({ input }) => input),
    ),
    defineJob(`${isolation}:strict`, { ...how, input: z.object({ to: z.string() }) }, () => 1),
  ]
})
