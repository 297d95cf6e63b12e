// `forgeq enqueue`: one job, in every form it can be written, and waiting for its result.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isId } from '#src/core/id.js'
import { commandIn, handlersFile, startCommand } from './command.ts'

type Command = ReturnType<typeof commandIn>['forgeq']

const jobOf = async (forgeq: Command, id: string): Promise<Record<string, unknown>> =>
  JSON.parse((await forgeq(['jobs', 'show', id, '--json'])).stdout) as Record<string, unknown>

test('the id of the job goes to standard output, alone', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stdout, stderr } = await forgeq(['enqueue', 'greet', '{"name":"Ada"}'])
  assert.equal(code, 0)
  assert.ok(isId(stdout.trim()), stdout)
  assert.match(stderr, /No worker has handled greet yet/)
  const job = await jobOf(forgeq, stdout.trim())
  assert.equal(job['type'], 'greet')
  assert.deepEqual(job['payload'], { name: 'Ada' })
})

test('flags that do not go together are refused before a store is made', async (t) => {
  const { folder, forgeq } = commandIn(t)
  for (const flags of [
    ['--unique-until', 'start'],
    ['--unique', 'a', '--unique-until', 'start', '--unique-for', '1m'],
  ]) {
    const { code, stderr } = await forgeq(['enqueue', 'greet', ...flags, '--store', 'sqlite:new.db'])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /--unique/)
  }
  assert.equal(existsSync(join(folder, 'new.db')), false)
})

test('the long form means the same', async (t) => {
  const { forgeq } = commandIn(t)
  const { stdout } = await forgeq(['enqueue', '--type', 'greet', '--payload', '{"name":"Ada"}', '--json'])
  const { id, duplicate } = JSON.parse(stdout) as { id: string; duplicate: boolean }
  assert.equal(duplicate, false)
  assert.deepEqual((await jobOf(forgeq, id))['payload'], { name: 'Ada' })
})

test('a payload comes from standard input or a file, and keeps its digits', async (t) => {
  const { folder, forgeq } = commandIn(t)
  const payload = '{"big": 9007199254740993, "exact": 1.0}'
  writeFileSync(join(folder, 'payload.json'), `${payload}\n`)
  const [piped, read] = await Promise.all([
    forgeq(['enqueue', 'greet', '-'], { stdin: payload }),
    forgeq(['enqueue', 'greet', '@payload.json']),
  ])
  for (const { stdout } of [piped, read]) {
    const shown = await forgeq(['jobs', 'show', stdout.trim(), '--json'])
    assert.ok(shown.stdout.includes(`"payload":${payload},`), shown.stdout)
  }
})

test('every option ends up with the job', async (t) => {
  const { forgeq } = commandIn(t)
  const id = '01a20331-d99f-771c-b9e0-0a63e1b94a6a'.replace(/^.{13}/, () => {
    const time = Date.now().toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}`
  })
  const { code, stderr } = await forgeq(
    `enqueue greet -q mails -p high --in 10m --id ${id} --unique u1 --tag a --tag b --retries 3 --timeout 2s --expire 1h`.split(
      ' ',
    ),
  )
  assert.equal(code, 0, stderr)
  const job = await jobOf(forgeq, id)
  const { queue, priority, state, unique, tags, maxAttempts } = job
  assert.deepEqual(
    { queue, priority, state, unique, tags, maxAttempts },
    {
      queue: 'mails',
      priority: 2,
      state: 'scheduled',
      unique: { key: 'u1', until: 'done' },
      tags: ['a', 'b'],
      maxAttempts: 4,
    },
  )
  const at = (name: string): number => Date.parse(String(job[name]))
  assert.equal(at('runAt') - at('createdAt'), 600_000)
  assert.equal(at('expireAt') - at('createdAt'), 3_600_000)
})

test('--at is an instant', async (t) => {
  const { forgeq } = commandIn(t)
  const { stdout } = await forgeq(['enqueue', 'greet', '--at', '2099-01-31T08:00:00Z'])
  assert.equal((await jobOf(forgeq, stdout.trim()))['runAt'], '2099-01-31T08:00:00.000Z')
})

test('the same id again answers with the stored job; with another payload it is a conflict', async (t) => {
  const { forgeq } = commandIn(t)
  const id = (await forgeq(['enqueue', 'greet', '1'])).stdout.trim()
  const again = await forgeq(['enqueue', 'greet', '1', '--id', id, '--json'])
  assert.deepEqual([again.code, JSON.parse(again.stdout)], [0, { id, duplicate: true }])
  assert.match(again.stderr, /was there already/)
  const other = await forgeq(['enqueue', 'greet', '2', '--id', id])
  assert.deepEqual([other.code, other.stdout], [4, ''])
})

test('a held unique key: the holder is kept, replaced while it waits, or named by exit code 4', async (t) => {
  const { forgeq } = commandIn(t)
  const enqueue = (payload: string, flags: string): ReturnType<Command> =>
    forgeq(['enqueue', 'greet', payload, '--unique', 'u', '--json', ...flags.split(' ')])
  const holder = (JSON.parse((await enqueue('1', '--unique-for 10m --in 1h')).stdout) as { id: string }).id
  const kept = await enqueue('2', '--unique-until start')
  assert.deepEqual([kept.code, JSON.parse(kept.stdout)], [0, { id: holder, duplicate: true }])
  const replaced = await enqueue('3', '--on-conflict replace')
  assert.deepEqual(JSON.parse(replaced.stdout), { id: holder, duplicate: true, replaced: true })
  assert.match(replaced.stderr, /was still waiting/)
  const refused = await enqueue('4', '--on-conflict error')
  assert.deepEqual([refused.code, refused.stdout], [4, ''])
  assert.ok(refused.stderr.includes(holder), refused.stderr)
  const { payload, state, unique } = await jobOf(forgeq, holder)
  assert.deepEqual([payload, state, unique], [3, 'ready', { key: 'u', forMs: 600_000 }])
  assert.match((await forgeq(['jobs', 'show', holder])).stdout, /unique +u, held for 10m/)
})

test('what cannot be a job is refused with exit code 2, and stores nothing', async (t) => {
  const { forgeq } = commandIn(t)
  const refused = await Promise.all([
    forgeq(['enqueue', 'greet', '{name: Ada}']),
    forgeq(['enqueue', 'not a name']),
    forgeq(['enqueue', 'greet', '1', '--in', 'soon']),
    forgeq(['enqueue', 'greet', '1', '--at', 'soon']),
    forgeq(['enqueue', 'greet', '1', '-p', 'urgent']),
    forgeq(['enqueue', 'greet', '1', '--id', 'mine']),
    forgeq(['enqueue', 'greet', '1', '--wait=soon']),
    forgeq(['enqueue', 'greet', '1', '--unique-until', 'start']),
    forgeq(['enqueue', 'greet', '1', '--unique-for', '1m']),
    forgeq(['enqueue', 'greet', '1', '--on-conflict', 'error']),
    forgeq(['enqueue', 'greet', '1', '--unique', 'u', '--on-conflict', 'drop']),
    forgeq(['enqueue', 'greet', '1', '--unique', 'u', '--unique-for', '1m', '--unique-until', 'done']),
    forgeq(['enqueue', 'greet', '1', '--type', 'greet']),
    forgeq(['enqueue', 'greet', '@missing.json']),
    forgeq(['enqueue']),
  ])
  for (const { code, stdout, stderr } of refused) {
    assert.deepEqual([code, stdout], [2, ''], stderr)
    assert.match(stderr, /^error: /)
    assert.doesNotMatch(stderr, /at file:/)
  }
  await forgeq(['enqueue', 'greet'])
  const { stdout } = await forgeq(['jobs', 'ls', '--json'])
  assert.equal((JSON.parse(stdout) as { data: unknown[] }).data.length, 1)
})

test('a store that cannot be reached has exit code 6', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stderr } = await forgeq(['enqueue', 'greet', '--store', 'sqlite:/etc/hostname/jobs.db'])
  assert.equal(code, 6, stderr)
})

test('with --wait the result is printed, and the end of the job is the exit code', async (t) => {
  const { folder, forgeq } = commandIn(t)
  const worker = startCommand(t, folder, ['worker', handlersFile])
  await worker.prints(/worker started/)

  const done = await forgeq(['enqueue', 'greet', '--wait', '{"name":"Ada"}'])
  assert.deepEqual([done.code, JSON.parse(done.stdout)], [0, { greeting: 'hello Ada' }])

  const whole = await forgeq(['enqueue', 'greet', '{"name":"Ada"}', '--wait=30s', '--json'])
  const { state, queue, result } = JSON.parse(whole.stdout) as Record<string, unknown>
  assert.deepEqual(
    { state, queue, result },
    { state: 'completed', queue: 'greetings', result: { greeting: 'hello Ada' } },
  )

  const dead = await forgeq(['enqueue', 'fail', '{"message":"no such address"}', '--wait'])
  assert.deepEqual([dead.code, dead.stdout], [1, ''])
  assert.match(dead.stderr, /is dead \(exhausted\): no such address/)

  for (const limit of [['--wait=20ms'], ['--wait', '20ms']]) {
    const late = await forgeq(['enqueue', ...limit, 'greet', '{"name":"Ada"}', '--in', '1h'])
    assert.equal(late.code, 7, late.stderr)
  }

  const wrong = await forgeq(['enqueue', 'greet', '{"nome":"Ada"}'])
  assert.deepEqual([wrong.code, wrong.stdout], [2, ''])
  assert.match(wrong.stderr, /payload\.name/)

  const mistyped = await forgeq(['enqueue', 'gret', '1'])
  assert.match(mistyped.stderr, /Did you mean greet\?/)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('a job that nobody will start is waited for, and that is said once', async (t) => {
  const { folder } = commandIn(t)
  const waiting = startCommand(t, folder, ['enqueue', 'greet', '{"name":"Ada"}', '-q', 'greetings', '--wait'])
  await waiting.prints(/waiting for it\nNo worker is running: start one with `forgeq worker`/)
  const worker = startCommand(t, folder, ['worker', handlersFile, '--drain'])
  assert.equal((await waiting.ends()).code, 0)
  assert.match(waiting.printed(), /hello Ada/)
  assert.equal(waiting.printed().match(/No worker is running/g)?.length, 1)
  assert.equal((await worker.ends()).code, 0)
})
