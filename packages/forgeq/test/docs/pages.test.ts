// Everything that the documentation shows is compiled and run.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testDatabase } from '../postgres/database.ts'
import { compilePages, type Compiled } from './compile-pages.ts'
import { openOwnDatabase } from './own-database.ts'
import { PageRun } from './page-run.ts'
import { readPages, root } from './pages.ts'

const pages = readPages()
const postgres = await testDatabase()
const folder = mkdtempSync(join(tmpdir(), 'forgeq-docs-'))
const commands = join(folder, 'commands')

/** Commands as pages mean them, on machines without network, without curl, with a Node that does not run TypeScript. */
function writeCommands(): void {
  const node = `'${process.execPath}' --import '${new URL('commands/terminal.js', import.meta.url).href}'`
  const forgeq = `'${join(root, 'packages/forgeq/bin/forgeq.js')}'`
  // Pages show TypeScript; here the module built from it takes its place. Servers take a free port.
  const built = `for arg; do shift; case "$arg" in *.ts) arg="\${arg%.ts}.js";; esac; set -- "$@" "$arg"; done`
  const port = `case "$1" in dev|server) set -- "$@" --port 0;; esac`
  const texts = {
    node: `${built}\nexec ${node} "$@"`,
    npx: `[ "$1" = forgeq ] || exit 127\nshift\n${built}\n${port}\nexec ${node} ${forgeq} "$@"`,
    curl: `exec ${node} '${fileURLToPath(new URL('commands/curl.js', import.meta.url))}' "$@"`,
  }
  mkdirSync(commands)
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(commands, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(commands, name), 0o755)
  }
}

suite('what the documentation shows', { concurrency: 3 }, () => {
  let compiled: Compiled
  before(async () => {
    writeCommands()
    compiled = await compilePages(pages, folder)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const page of pages.filter(({ blocks }) => blocks.length > 0)) {
    test(page.path, { concurrency: true }, async (t) => {
      assert.deepEqual(compiled.complaintsAbout(page), [])
      const database = page.path === 'docs/postgres.md' ? await openOwnDatabase(t, postgres) : undefined
      await new PageRun(page, compiled.folderOf(page), commands, (text) => t.diagnostic(text), database).run()
    })
  }
})

for (const page of pages) {
  for (const { code, line } of page.blocks.filter(({ language }) => language === 'text')) {
    test(`${page.path}:${line} maps folders and files that exist`, () => {
      for (const path of pathsOf(code)) assert.ok(existsSync(join(root, path)), `there is no ${path}`)
    })
  }
}

/** `folder` on a line, what it holds below it, further in; two spaces before what is said about them. */
function pathsOf(code: string): string[] {
  const paths: string[] = []
  let base = ''
  for (const line of code.split('\n')) {
    const names = line.trim().split(/ {2,}/)[0]!.split(' ')
    const isInside = line.startsWith(' ')
    if (!isInside) base = names[0]!
    for (const name of names) if (/^[\w./-]+$/.test(name)) paths.push(isInside ? join(base, name) : name)
  }
  return paths
}
