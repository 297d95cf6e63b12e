// Limits on the command line: what is set, what is left alone, what people read.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ForgeQ } from 'forgeq'
import { commandIn } from './command.ts'
import { drain, forgeIn } from './forge-in.ts'
import { greet } from './handlers/jobs.ts'

type Command = ReturnType<typeof commandIn>['forgeq']
type Fields = Record<string, unknown>

async function scene(t: TestContext): Promise<{ forgeq: Command; forge: ForgeQ }> {
  const { folder, forgeq } = commandIn(t)
  const forge = forgeIn(t, folder)
  await forge.ready()
  return { forgeq, forge }
}

/** `options` as they are typed. */
async function limited(forgeq: Command, options = ''): Promise<Fields> {
  const typed = options.split(/\s+/).filter((word) => word !== '')
  const { code, stdout, stderr } = await forgeq(['queues', 'limit', 'mail', ...typed, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as Fields
}

test('each limit is set by its option and taken away by none', async (t) => {
  const { forgeq } = await scene(t)
  const set = await limited(
    forgeq,
    `--rate 100/m --rate-high 10/s --rate-normal 5/30s --rate-low 1/h --concurrency 5
      --key-rate 2/s --key-concurrency 3 --max-depth 1000 --no-accepting`,
  )
  const perMs = 1000
  assert.deepEqual(set['rate'], { max: 100, perMs: 60_000 })
  assert.deepEqual(set['ratePerPriority'], {
    high: { max: 10, perMs },
    normal: { max: 5, perMs: 30_000 },
    low: { max: 1, perMs: 3_600_000 },
  })
  assert.deepEqual(set['perKey'], { concurrency: 3, rate: { max: 2, perMs }, ordered: false })
  assert.deepEqual([set['concurrency'], set['maxDepth'], set['accepting'], set['paused']], [5, 1000, false, false])
  const shown = await forgeq(['queues', 'show', 'mail', '--json'])
  assert.deepEqual(JSON.parse(shown.stdout), set)
  assert.deepEqual(await limited(forgeq), set, 'without options nothing is changed')

  const some = await limited(forgeq, '--rate none --rate-high none --accepting')
  assert.deepEqual([some['rate'], some['accepting'], some['concurrency']], [null, true, 5])
  assert.deepEqual(Object.keys(some['ratePerPriority'] as Fields), ['normal', 'low'])
  const none = await limited(
    forgeq,
    `--rate-normal none --rate-low none --concurrency none --max-depth none
      --key-rate none --key-concurrency none`,
  )
  assert.deepEqual(
    [none['ratePerPriority'], none['concurrency'], none['maxDepth'], none['perKey']],
    [{}, null, null, { concurrency: null, rate: null, ordered: false }],
  )
})

test('limits of keys that are not named stay', async (t) => {
  const { forgeq } = await scene(t)
  const perKey = async (options: string): Promise<unknown> => (await limited(forgeq, options))['perKey']
  const rate = { max: 2, perMs: 1000 }
  assert.deepEqual(await perKey('--key-rate 2/s'), { concurrency: null, rate, ordered: false })
  assert.deepEqual(await perKey('--key-concurrency 2'), { concurrency: 2, rate, ordered: false })
  const { code, stderr } = await forgeq(['queues', 'limit', 'mail', '--ordered', '--key-concurrency', '2'])
  assert.equal(code, 2)
  assert.match(stderr, /perKey\.concurrency must be null or 1 where keys are ordered, not 2: change both together/)
  assert.equal((await forgeq(['queues', 'limit', 'mail', '--ordered'])).code, 2)
  assert.deepEqual(await perKey('--ordered --key-concurrency none'), { concurrency: null, rate, ordered: true })
  assert.deepEqual(await perKey('--key-rate none'), { concurrency: null, rate: null, ordered: true })
  assert.deepEqual(await perKey('--no-ordered'), { concurrency: null, rate: null, ordered: false })
})

test('what is no limit is refused with what it must be, and nothing is set', async (t) => {
  const { forgeq } = await scene(t)
  for (const [args, said] of [
    [['--rate', '100'], /It must be starts per time, such as 100\/m/],
    [['--rate-high', '0/s'], /It must be starts per time/],
    [['--concurrency', '0'], /It must be a whole number from 1 to 10000/],
    [['--key-concurrency', '1001'], /from 1 to 1000\b/],
    [['--max-depth', 'many'], /It must be a whole number/],
    [['--burst', '5'], /unknown option/],
  ] as const) {
    const { code, stderr } = await forgeq(['queues', 'limit', 'mail', ...args])
    assert.equal(code, 2)
    assert.match(stderr, said)
  }
  assert.equal((await forgeq(['queues', 'limit', 'a b', '--rate', '1/s'])).code, 2)
  const missing = await forgeq(['queues', 'show', 'mail'])
  assert.equal(missing.code, 3)
  assert.match(missing.stderr, /no queue is called mail/)
})

test('what is limited and what is closed is shown', async (t) => {
  const { forgeq, forge } = await scene(t)
  const set = await forgeq([
    'queues',
    'limit',
    'greetings',
    '--rate',
    '1/d',
    '--key-concurrency',
    '2',
    '--max-depth',
    '1',
  ])
  assert.match(set.stderr, /never had a job/)
  const { stdout: id } = await forgeq(['enqueue', 'greet', '{"name":"Ada"}', '-q', 'greetings', '--key', 'ada'])
  const full = await forgeq(['enqueue', 'greet', '{"name":"Bo"}', '-q', 'greetings'])
  assert.equal(full.code, 4)
  assert.match((await forgeq(['queues', 'ls'])).stdout, / full, 1\/d, keys 2 at a time, at most 1 waiting$/m)
  assert.match((await forgeq(['status'])).stdout, /^! Queue greetings is full \(at most 1 waiting\)\./m)
  assert.match((await forgeq(['jobs', 'show', id.trim()])).stdout, /^key +ada$/m)
  await drain(forge)
  const next = await forge.enqueue(greet, { name: 'Cy' })
  const { stdout: page } = await forgeq(['queues', 'show', 'greetings'])
  assert.match(page, /^now +full, rate used up for \S+$/m)
  assert.match(page, /^rate +1\/d, 0 left$/m)
  assert.match(page, /^each key +2 at a time$/m)
  assert.match(page, /^max depth +1, 1 waiting$/m)
  assert.match((await forgeq(['jobs', 'why', next.id])).stdout, /^Queue greetings has used up its rate of 1\/d/)

  await forgeq(['queues', 'limit', 'greetings', '--no-accepting'])
  const closed = await forgeq(['enqueue', 'greet', '{"name":"Di"}', '-q', 'greetings'])
  assert.equal(closed.code, 4)
  const { problems } = JSON.parse((await forgeq(['status', '--json'])).stdout) as { problems: string[] }
  assert.match(problems.join('\n'), /Queue greetings takes no new jobs: `forgeq queues limit greetings --accepting`/)
})
