// Finding handlers in files, folders and patterns, and what is said when there are none, or too many.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { findHandlers, type FoundHandlers } from '#src/worker/find-handlers.js'
import { temporaryFolder } from '../cli/command.ts'

/** A module that exports a handler as another copy of the package would make it. */
const handling = (type: string, name = 'it'): string =>
  `const job = { name: '${type}', policy: {}, with() {}, handler() {} }; export const ${name} = { job, fn() {} }\n`

function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder(t)
  for (const [name, contents] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), contents)
  }
  return folder
}

const find = (paths: readonly string[], folder: string): Promise<FoundHandlers> =>
  findHandlers(paths, folder, () => Promise.resolve())

const found = async (folder: string, ...paths: string[]): Promise<string[]> =>
  (await find(paths, folder)).handlers.map(({ handler, file }) => `${handler.job.name} ${file}`).toSorted()

test('a folder means every module below it, without declarations, maps, tests and packages', async (t) => {
  const folder = folderOf(t, {
    'jobs/a.js': handling('a'),
    'jobs/deep/b.mjs': handling('b'),
    'jobs/a.d.ts': '',
    'jobs/a.js.map': '{}',
    'jobs/a.test.js': handling('a-test'),
    'jobs/test/c.js': handling('c'),
    'jobs/node_modules/d/index.js': handling('d'),
    'jobs/.hidden/e.js': handling('e'),
    'jobs/notes.md': '',
  })
  assert.deepEqual(await found(folder, 'jobs'), ['a jobs/a.js', 'b jobs/deep/b.mjs'])
})

test('files and patterns mean what they say', async (t) => {
  const folder = folderOf(t, {
    'a.js': handling('a'),
    'mail/send.job.js': handling('send'),
    'mail/bounce.job.js': handling('bounce'),
    'mail/other.js': handling('other'),
    'x/y/z.job.mjs': handling('z'),
  })
  assert.deepEqual(await found(folder, 'a.js', join(folder, 'mail/other.js')), ['a a.js', 'other mail/other.js'])
  assert.deepEqual(await found(folder, 'mail/*.job.js'), ['bounce mail/bounce.job.js', 'send mail/send.job.js'])
  assert.deepEqual(await found(folder, '**/*.job.{js,mjs}'), [
    'bounce mail/bounce.job.js',
    'send mail/send.job.js',
    'z x/y/z.job.mjs',
  ])
  assert.deepEqual(await found(folder, `${folder}/mail/s?nd.*`), ['send mail/send.job.js'])
})

test('lists, defaults and re-exports count once', async (t) => {
  const folder = folderOf(t, {
    'jobs/a.js': `${handling('a')}export default it\n`,
    'jobs/index.js': `export * from './a.js'; import { it } from './a.js'; export const all = [it]\n`,
  })
  assert.deepEqual(await found(folder, 'jobs'), ['a jobs/a.js'])
})

test('a type with two handlers is refused, naming both files', async (t) => {
  const folder = folderOf(t, { 'jobs/a.js': handling('same'), 'jobs/b.js': handling('same') })
  await assert.rejects(find(['jobs'], folder), {
    code: 'CONFIG',
    message: /^jobs\/a\.js and jobs\/b\.js both handle same/,
  })
})

test('modules without handlers are named; only when there is no handler at all that is a fault', async (t) => {
  const contract = `export const job = { name: 'c', policy: {}, with() {}, handler() {} }\n`
  const folder = folderOf(t, {
    'jobs/a.js': handling('a'),
    'jobs/b.js': 'export const x = 1\n',
    'c/c.js': contract,
    'd/x.txt': '',
  })
  assert.deepEqual((await find(['jobs'], folder)).notes, ['jobs/b.js exports no handler'])
  await assert.rejects(find(['jobs/b.js'], folder), {
    code: 'CONFIG',
    message: /jobs\/b\.js exports no handler/,
  })
  await assert.rejects(find(['c'], folder), { message: /c\/c\.js exports the job job without its function/ })
  await assert.rejects(find(['d'], folder), { message: /there is no module in d/ })
})

test('what is not there, or cannot be loaded, is said with what to do', async (t) => {
  const folder = folderOf(t, {
    'broken.js': 'throw new Error("no database")',
    'syntax.js': 'export const = 1',
    'alone.js': `import 'forgeq'`,
  })
  const refused = (path: string, message: RegExp): Promise<void> =>
    assert.rejects(find([path], folder), { code: 'CONFIG', message })
  await refused('missing', /there is no missing in/)
  await refused('*.ts', /no module matches \*\.ts/)
  await refused('broken.js', /broken\.js cannot be loaded: Error: no database/)
  await refused('syntax.js', /syntax\.js cannot be loaded: SyntaxError/)
  await refused('alone.js', /`npm install forgeq`/)
})

test('TypeScript runs where Node strips types and is explained where not; a built module goes before its source', async (t) => {
  const folder = folderOf(t, {
    'a.ts': `${handling('a')}const typed: number = 1\n`,
    'built/b.js': handling('b'),
    'built/b.ts': handling('b'),
  })
  assert.deepEqual(await found(folder, 'built'), ['b built/b.js'])
  if (process.features.typescript) assert.deepEqual(await found(folder, 'a.ts'), ['a a.ts'])
  else
    await assert.rejects(find(['a.ts'], folder), {
      code: 'CONFIG',
      message: /leads to TypeScript.*Node 22\.18/,
    })
})
