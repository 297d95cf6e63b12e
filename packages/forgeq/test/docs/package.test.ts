// What npm packs: the texts that its README links to are in it, and nothing in it links to what is not.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { root } from './pages.ts'

test('links in the package lead to what is in the package', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forgeq-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(root, 'packages/forgeq/package.json'), join(folder, 'package.json'))
  execFileSync(process.execPath, [join(root, 'scripts/pack-texts.mjs'), 'add', folder])
  const told = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ files }] = JSON.parse(told) as [{ files: { path: string }[] }]
  const packed = files.map(({ path }) => path)
  for (const needed of ['README.md', 'LICENSE', 'CHANGELOG.md', 'docs/getting-started.md'])
    assert.ok(packed.includes(needed), needed)
  for (const page of packed.filter((path) => path.endsWith('.md'))) {
    for (const [, link = ''] of readFileSync(join(folder, page), 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      const [file = ''] = link.split('#')
      if (file === '' || /^https?:/.test(file)) continue
      assert.ok(packed.includes(join(dirname(page), file)), `${page} links to ${link}`)
    }
  }
})
