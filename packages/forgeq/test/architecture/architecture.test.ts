// The shape of the package: who imports whom, what is public, how long files get. Lint checks the same while typing; here
// it is checked from the outside, by other means.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as conformance from 'forgeq/conformance'
import * as forgeq from 'forgeq'
import * as postgres from 'forgeq/postgres'
import * as server from 'forgeq/server'
import * as sqlite from 'forgeq/sqlite'
import * as store from 'forgeq/store'
import * as testing from 'forgeq/testing'

const root = fileURLToPath(new URL('../..', import.meta.url))
const src = join(root, 'src')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string>
  dependencies: Record<string, string>
  optionalDependencies: Record<string, string>
  peerDependencies: Record<string, string>
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const text = (file: string): string => readFileSync(join(src, file), 'utf8')
const folderOf = (file: string): string => (file.includes(sep) ? file.split(sep)[0]! : 'root')

interface Import {
  readonly from: string
  readonly to: string
}

const specifier = /(?:\bfrom|^import) '([^']+)'(?: with .*)?$|\bimport\('([^']+)'\)/gm
const imports = (file: string): Import[] =>
  Array.from(text(file).matchAll(specifier), ([, fixed, lazy]) => ({ from: file, to: (fixed ?? lazy)! }))

/** Layer -> the folders it may import, beside itself. The table of ARCHITECTURE.md. */
const below: Readonly<Record<string, readonly string[]>> = {
  // Types of records only; lint sees to that.
  core: ['store'],
  store: ['core'],
  sqlite: ['core', 'store'],
  postgres: ['core', 'store'],
  root: ['core', 'store', 'worker', 'maintain'],
  worker: ['core', 'store', 'root', 'maintain'],
  maintain: ['core', 'store', 'root', 'worker'],
  observe: ['core'],
  server: ['core', 'store', 'sqlite', 'root', 'worker', 'maintain', 'observe'],
  cli: ['core', 'store', 'sqlite', 'root', 'worker', 'maintain', 'observe', 'server', 'testing', 'conformance'],
  testing: ['core', 'store', 'sqlite', 'root', 'worker', 'maintain', 'observe'],
  conformance: ['core', 'store'],
}

test('every folder imports only what its layer may', () => {
  const wrong = files.flatMap(imports).filter(({ from, to }) => {
    if (!to.startsWith('.')) return false
    const [here, there] = [folderOf(from), folderOf(normalize(join(dirname(from), to)))]
    if (from === join('store', 'open.ts') && ['sqlite', 'postgres'].includes(there)) return false
    // The version is told in one place.
    if (to === '../package.json') return from !== 'version.ts'
    return here !== there && !(below[here] ?? []).includes(there)
  })
  assert.deepEqual(wrong, [])
})

test('core knows no platform', () => {
  const wrong = files
    .filter((file) => folderOf(file) === 'core')
    .flatMap(imports)
    .filter(({ to }) => !to.startsWith('.') && to !== '@standard-schema/spec')
  assert.deepEqual(wrong, [])
})

test('no cycle', () => {
  const edges = new Map(
    files.map((file) => [
      file,
      imports(file).flatMap(({ to }) => (to.startsWith('.') ? [normalize(join(dirname(file), to))] : [])),
    ]),
  )
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), [...path, file].join(' -> '))
    if (done.has(file)) return
    for (const next of edges.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

test('what is imported is declared, and the other way round', () => {
  const declared = Object.keys({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.peerDependencies,
  })
  const packages = files
    .flatMap(imports)
    .map(({ to }) => to)
    .filter((to) => !to.startsWith('.') && !to.startsWith('node:') && to !== 'forgeq')
    .map((to) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(to)![0])
  // Loaded by createRequire, because it is optional.
  packages.push('@photostructure/sqlite', 'pg')
  assert.deepEqual([...new Set(packages)].sort(), declared.sort())
  assert.ok(Object.keys(manifest.dependencies).length <= 10)
})

test('no file beyond 400 lines, half of them within 100', () => {
  const lengths = files.map((file) => text(file).split('\n').length).sort((a, b) => a - b)
  assert.ok(lengths.at(-1)! <= 400, `the longest has ${lengths.at(-1)}`)
  assert.ok(lengths[Math.floor(lengths.length / 2)]! <= 110, `the median is ${lengths[Math.floor(lengths.length / 2)]}`)
})

test('every file opens with what it owns, and none is a drawer', () => {
  for (const file of files) assert.match(text(file).split('\n')[0]!, /^\/\/ |^\/\*\* /, file)
  assert.deepEqual(
    files.filter((file) => /(^|\W)(utils?|helpers?|common|misc|manager|types)\.ts$/.test(file)),
    [],
  )
})

test('the seam stays below 30 methods', () => {
  const seam = /export interface Store \{(.*?)\n\}/s.exec(text(join('store', 'store.ts')))![1]!
  const methods = seam.match(/^ {2}\w+\(/gm)!
  assert.ok(methods.length < 30 && methods.length > 15, `${methods.length} methods`)
})

test('every entry point exists', () => {
  for (const target of Object.values(manifest.exports)) assert.ok(existsSync(join(root, target)), target)
})

test('the public names change only on purpose', () => {
  const names = (module: object): string[] => Object.keys(module).sort()
  assert.deepEqual(names(forgeq), [
    'Discard',
    'ForgeError',
    'ForgeQ',
    'RateLimited',
    'RetryIn',
    'defineJob',
    'errorCodes',
    'typed',
  ])
  assert.deepEqual(names(store), ['ManualClock', 'batchLimit', 'openStore'])
  assert.deepEqual(names(sqlite), ['sqlite'])
  assert.deepEqual(names(postgres), ['postgres'])
  assert.deepEqual(names(testing), ['ManualClock', 'ManualTimers', 'TestForge', 'testForge'])
  assert.deepEqual(names(conformance), ['conformance'])
  assert.deepEqual(names(server), ['api', 'serve'])
})

test('importing forgeq loads neither server, nor command line, nor a driver', () => {
  const program = `
    await import('forgeq')
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => /NativeModule (http|sqlite|worker_threads)$/.test(name))))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, encoding: 'utf8' })
  assert.deepEqual(JSON.parse(output), [])
})
