// What a job without options costs: the statements that are executed for it, counted, so that no feature makes it pay.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { complete } from '#src/conformance/endings.js'
import { sqlite } from '#src/sqlite/index.js'
import { Statements } from '#src/sqlite/statements.js'
import type { Store } from '#src/store/store.js'
import { someJob, someWorker } from './files.ts'

/** What `call` executes: the verb of each statement and the table that it is about. */
async function executed(t: TestContext, call: () => Promise<unknown>): Promise<readonly string[]> {
  const texts: string[] = []
  const mocks = (['sql', 'tuples'] as const).map((method) => {
    const original = Statements.prototype[method]
    return t.mock.method(Statements.prototype, method, function (this: Statements, text: string) {
      texts.push(text)
      return original.call(this, text)
    })
  })
  await call()
  for (const { mock } of mocks) mock.restore()
  return texts.map((text) => `${/\w+/.exec(text)![0]} ${/forgeq_(\w+)/.exec(text)![1]}`)
}

async function plainStore(t: TestContext): Promise<Store> {
  const store = sqlite(':memory:', { inline: true })
  t.after(() => store.close())
  await store.enqueue([someJob()], { atomic: false })
  return store
}

const begin = 'SELECT meta'
/** The queue: whether it takes jobs, and what is limited. Once a call, however many jobs there are. */
const settings = 'SELECT hold'
const end = 'UPDATE meta'

test('an enqueue writes the body, its place, and how many there are', async (t) => {
  const store = await plainStore(t)
  const jobs = [someJob(), someJob()]
  assert.deepEqual(await executed(t, () => store.enqueue(jobs, { atomic: true })), [
    begin,
    settings,
    ...jobs.map(() => 'INSERT job'),
    'INSERT ready',
    'INSERT tally',
    end,
  ])
})

test('a claim and a completion touch no tree but those of places', async (t) => {
  const store = await plainStore(t)
  const worker = someWorker()
  await store.register(worker)
  const turn = { worker: worker.id, settlements: [], wants: [], slots: 0, notes: [] }
  const wants = [{ queue: 'default', slots: 1 }]
  const claims = await executed(t, () => store.exchange({ ...turn, turn: 1, wants, slots: 1 }))
  const [job] = (await store.find({ state: 'running' }, null, 1)).jobs
  const settlements = [complete({ job: job!.id, claim: 1 })]
  const completes = await executed(t, () => store.exchange({ ...turn, turn: 2, settlements }))
  const written = [...claims, ...completes].filter((statement) => !/^SELECT|meta|tally|worker|expiry/.test(statement))
  assert.deepEqual(written, ['INSERT running', 'DELETE ready', 'INSERT done', 'DELETE running'])
})
