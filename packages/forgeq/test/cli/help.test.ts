// Help, version, and what is said to somebody who mistypes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { version } from '#src/version.js'
import { commandIn } from './command.ts'

const commands = 'dev server worker enqueue status jobs dead queues workers migrate move config'.split(' ')

test('help names every command, on standard output', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stdout, stderr } = await forgeq(['--help'])
  assert.equal(code, 0)
  assert.equal(stderr, '')
  for (const name of commands) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
})

test('every command has help of its own', async (t) => {
  const { forgeq } = commandIn(t)
  const pages = await Promise.all(commands.map((name) => forgeq([name, '--help'])))
  for (const [i, { code, stdout }] of pages.entries()) {
    assert.equal(code, 0, commands[i])
    assert.match(stdout, new RegExp(`^Usage: forgeq ${commands[i]}`))
  }
})

test('help <command> is the help of that command', async (t) => {
  const { forgeq } = commandIn(t)
  const [asked, flagged] = await Promise.all([forgeq(['help', 'jobs', 'show']), forgeq(['jobs', 'show', '--help'])])
  assert.deepEqual([asked.code, asked.stdout], [0, flagged.stdout])
})

test('the version is that of the package', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stdout } = await forgeq(['--version'])
  assert.deepEqual([code, stdout], [0, `${version}\n`])
})

test('help needs neither the engine nor the store', async (t) => {
  const { forgeq } = commandIn(t)
  const { stderr } = await forgeq(['--help'], { env: { NODE_DEBUG: 'esm' } })
  const loaded = stderr.match(/dist\/[\w/-]+\.js/g) ?? []
  assert.ok(
    loaded.some((file) => file.endsWith('cli/main.js')),
    stderr.slice(0, 500),
  )
  const heavy = [...new Set(loaded)].filter(
    (file) => !/cli\/(main|report|paint)|version|core\/errors|observe\/printable/.test(file),
  )
  assert.deepEqual(heavy, [])
})

test('a mistyped command is a usage error with a suggestion', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stdout, stderr } = await forgeq(['wroker'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /unknown command 'wroker'\n\(Did you mean worker\?\)/)
})

test('a mistyped subcommand and a mistyped option are suggested, too', async (t) => {
  const { forgeq } = commandIn(t)
  const [sub, option] = await Promise.all([forgeq(['jobs', 'shwo']), forgeq(['status', '--jsno'])])
  assert.equal(sub.code, 2)
  assert.match(sub.stderr, /Did you mean show\?/)
  assert.equal(option.code, 2)
  assert.match(option.stderr, /Did you mean --json\?/)
})

test('a group without a subcommand shows what there is', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stdout, stderr } = await forgeq(['jobs'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /promote/)
})

test('an option value out of range is a usage error that says what it must be', async (t) => {
  const { forgeq } = commandIn(t)
  const { code, stderr } = await forgeq(['jobs', 'ls', '--limit', '0'])
  assert.equal(code, 2)
  assert.match(stderr, /whole number from 1 to 1000/)
})
