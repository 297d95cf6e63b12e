// The small examples stay small, run as they are, and print what their comments say.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { root } from './pages.ts'
import { plainEnv } from './plain-env.ts'
import { printed } from './printed.ts'
import { Transcript } from './transcript.ts'

const folder = join(root, 'examples')
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'))

test('there are examples, and all are in the list', () => {
  const list = readFileSync(join(folder, 'README.md'), 'utf8')
  assert.ok(names.length > 0)
  assert.deepEqual(
    [...list.matchAll(/^\| \[(\S+\.ts)\]/gm)].map(([, name]) => name),
    names,
  )
})

for (const name of names) {
  test(name, async (t) => {
    const code = readFileSync(join(folder, name), 'utf8')
    assert.ok(code.split('\n').length <= 61, 'an example has 60 lines at most')
    const cwd = mkdtempSync(join(tmpdir(), 'forgeq-example-'))
    t.after(() => rmSync(cwd, { recursive: true, force: true }))
    const module = join(folder, 'dist', name.replace(/ts$/, 'js'))
    const { stdout } = await promisify(execFile)(process.execPath, [module], { cwd, env: plainEnv(), timeout: 30_000 })
    const expected = printed(code).flatMap((line) => ['...', line])
    assert.deepEqual(new Transcript().compare(expected, stdout.split('\n'), false), {}, stdout)
  })
}
