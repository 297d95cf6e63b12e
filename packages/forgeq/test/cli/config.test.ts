// Settings: where they come from, which one counts, what is said about wrong ones, and that no secret is printed.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settings } from '#src/cli/settings.js'
import { commandIn, type HowToRun } from './command.ts'

type Printed = Record<string, { value: string; origin: string }>

const printed = async (
  { forgeq }: ReturnType<typeof commandIn>,
  args: string[] = [],
  how: HowToRun = {},
): Promise<Printed> => {
  const { code, stdout, stderr } = await forgeq(['config', 'print', '--json', ...args], how)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as Printed
}

test('without anything said, everything is a default', async (t) => {
  const values = await printed(commandIn(t))
  assert.deepEqual(values['store'], { value: 'sqlite:.forgeq/forgeq.db', origin: 'default' })
  assert.deepEqual(values['port'], { value: '7788', origin: 'default' })
  assert.deepEqual(values['shutdownTimeout'], { value: '25s', origin: 'default' })
  assert.deepEqual([...new Set(Object.values(values).map(({ origin }) => origin))], ['default'])
})

test('a flag goes before the environment, that before the file, that before the default', async (t) => {
  const command = commandIn(t)
  writeFileSync(
    join(command.folder, 'forgeq.config.mjs'),
    `export default { store: 'sqlite:file.db', port: 1, host: '::1', queues: { mails: 3 } }`,
  )
  const env = { FORGEQ_STORE: 'sqlite:env.db', FORGEQ_PORT: '2', FORGEQ_LOG_LEVEL: '' }
  const values = await printed(command, ['--store', 'sqlite:flag.db'], { env })
  assert.deepEqual(values['store'], { value: 'sqlite:flag.db', origin: 'flag' })
  assert.deepEqual(values['port'], { value: '2', origin: 'FORGEQ_PORT' })
  assert.deepEqual(values['host'], { value: '::1', origin: 'forgeq.config.mjs' })
  assert.deepEqual(values['queues'], { value: 'mails:3', origin: 'forgeq.config.mjs' })
  assert.deepEqual(values['logLevel'], { value: 'info', origin: 'default' })
})

test('a value can be in a file that a variable names', async (t) => {
  const command = commandIn(t)
  const secret = join(command.folder, 'store-url')
  writeFileSync(secret, 'sqlite:secret.db\n')
  const values = await printed(command, [], { env: { FORGEQ_STORE_FILE: secret } })
  assert.deepEqual(values['store'], { value: 'sqlite:secret.db', origin: `FORGEQ_STORE_FILE (${secret})` })
})

test('rates of priorities are read and shown as people write them', async (t) => {
  const command = commandIn(t)
  const file = join(command.folder, 'low')
  writeFileSync(file, '5/30s\n')
  const env = { FORGEQ_RATE_LIMIT_HIGH: '1000/60s', FORGEQ_RATE_LIMIT_NORMAL: 'none', FORGEQ_RATE_LIMIT_LOW_FILE: file }
  const values = await printed(command, [], { env })
  assert.deepEqual(
    ['rateLimitHigh', 'rateLimitNormal', 'rateLimitLow'].map((key) => values[key]!.value),
    ['1000/m', 'none', '5/30s'],
  )
  assert.equal((await printed(command))['rateLimitHigh']!.value, 'as it is')
})

test('passwords are never printed', async (t) => {
  const command = commandIn(t)
  const unreachable = 6
  const notBuilt = 2
  for (const [url, code] of [
    ['postgres://me:s3cret@127.0.0.1:1/db', unreachable],
    ['postgres://127.0.0.1:1/db?user=me&password=s3cret', unreachable],
    ['redis://:s3cret@host:6379/0', notBuilt],
  ] as const) {
    const env = { FORGEQ_STORE: url }
    const [json, people, failed] = await Promise.all([
      command.forgeq(['config', 'print', '--json'], { env }),
      command.forgeq(['config', 'print'], { env }),
      command.forgeq(['status'], { env }),
    ])
    for (const { stdout, stderr } of [json, people, failed])
      assert.equal(`${stdout}${stderr}`.includes('s3cret'), false, url)
    assert.match(people.stdout, /\*\*\*/)
    assert.equal(failed.code, code)
  }
})

test('all problems are told at once', async (t) => {
  const { folder, forgeq } = commandIn(t)
  writeFileSync(join(folder, 'forgeq.config.json'), '{ "concurency": 5, "processes": 0 }')
  const env = {
    FORGEQ_PORT: 'http',
    FORGEQ_QUEUES: 'mails,mails',
    FORGEQ_SHUTDOWN_TIMEOUT: '10ms',
    FORGEQ_HOST: '127.0.0.1',
    FORGEQ_HOST_FILE: '/etc/hostname',
    FORGEQ_LOG_LEVEL_FILE: '/missing',
    FORGEQ_RATE_LIMIT_HIGH: '1000',
  }
  const { code, stderr } = await forgeq(['worker', '.', '--log-format', 'xml'], { env })
  assert.equal(code, 2)
  assert.match(stderr, /^error: 9 settings are not usable/)
  for (const said of [
    /^ {2}concurency in forgeq\.config\.json: is not a setting: did you mean concurrency\?$/m,
    /^ {2}processes in forgeq\.config\.json: must be a whole number from 1 to 256$/m,
    /^ {2}FORGEQ_PORT: must be a whole number from 0 to 65535$/m,
    /^ {2}FORGEQ_QUEUES: names mails twice$/m,
    /^ {2}FORGEQ_SHUTDOWN_TIMEOUT: must be 2s or more/m,
    /^ {2}FORGEQ_HOST_FILE: is set and so is FORGEQ_HOST/m,
    /^ {2}FORGEQ_LOG_LEVEL_FILE: names a file that cannot be read/m,
    /^ {2}FORGEQ_RATE_LIMIT_HIGH: must be starts per time, such as 100\/m, .* not '1000'$/m,
    /^ {2}--log-format: must be one of auto, json, pretty$/m,
  ]) {
    assert.match(stderr, said)
  }
})

test('a configuration file that cannot be used is named with its fault', async (t) => {
  const cases = [
    ['forgeq.config.json', '{', /forgeq\.config\.json: cannot be loaded: .*JSON/],
    ['forgeq.config.js', 'export const store = 1', /forgeq\.config\.js: must hold an object/],
    ['forgeq.config.mjs', 'throw new Error("broken")', /forgeq\.config\.mjs: cannot be loaded: broken/],
  ] as const
  for (const [name, contents, said] of cases) {
    const { folder, forgeq } = commandIn(t)
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder, name), contents)
    const { code, stderr } = await forgeq(['config', 'print'])
    assert.equal(code, 2)
    assert.match(stderr, said)
  }
})

test('a TypeScript configuration works where Node strips types, and is explained where not', async (t) => {
  const command = commandIn(t)
  writeFileSync(join(command.folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(command.folder, 'forgeq.config.ts'), 'export default { port: 1234 as number }')
  if (process.features.typescript) {
    assert.equal((await printed(command))['port']!.value, '1234')
  } else {
    const { code, stderr } = await command.forgeq(['config', 'print'])
    assert.equal(code, 2)
    assert.match(
      stderr,
      /forgeq\.config\.ts: is TypeScript, which Node v\d+.* does not run: name it forgeq\.config\.mjs/,
    )
  }
})

test('.env.example lists exactly the variables that are read', () => {
  const dist = fileURLToPath(new URL('../../dist', import.meta.url))
  const sources = readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(dist, name), 'utf8'))
  const read = sources.flatMap((source) => source.match(/(?<=variable: '|env\[')FORGEQ_[A-Z_]+(?=')/g) ?? [])
  const example = readFileSync(fileURLToPath(new URL('../../../../.env.example', import.meta.url)), 'utf8')
  const listed = Array.from(example.matchAll(/^#(FORGEQ_[A-Z_]+)=(.*)$/gm), ([, name, value]) => [name, value] as const)
  // Faults are put in by tests alone.
  const forUsers = [...new Set(read)].filter((name) => !name.startsWith('FORGEQ_FAILPOINT'))
  assert.deepEqual(listed.map(([name]) => String(name)).toSorted(), forUsers.toSorted())
  for (const { variable, example: value } of Object.values(settings)) {
    assert.equal(listed.find(([name]) => name === variable)?.[1], value)
  }
})
