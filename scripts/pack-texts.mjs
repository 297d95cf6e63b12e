// Texts of the repository that readers expect inside the published package: node scripts/pack-texts.mjs add|remove [folder]
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [verb, folder = join(root, 'packages/forgeq')] = process.argv.slice(2)

const texts = ['README.md', 'LICENSE', 'ARCHITECTURE.md', 'CHANGELOG.md', 'SECURITY.md', 'docs']

for (const name of texts) {
  if (verb === 'add') cpSync(join(root, name), join(folder, name), { recursive: true })
  else rmSync(join(folder, name), { recursive: true, force: true })
}
if (verb === 'add') {
  const pages = [...readdirSync(folder), ...readdirSync(join(folder, 'docs')).map((name) => join('docs', name))]
  for (const page of pages.filter((name) => name.endsWith('.md'))) cutLinks(join(folder, page))
}

/** What stays in the repository is named, not linked. */
function cutLinks(page) {
  const text = readFileSync(page, 'utf8').replaceAll(
    /\[([^\]]+)\]\((?!https?:|#)([^)#]+)[^)]*\)/g,
    (link, words, target) => (existsSync(join(dirname(page), target)) ? link : words),
  )
  writeFileSync(page, text)
}
