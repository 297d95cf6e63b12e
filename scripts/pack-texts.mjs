// Texts that readers expect inside the published package, which lie in the root: node scripts/pack-texts.mjs add|remove
import { copyFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const inPackage = new URL('packages/forgeq/', root)

for (const name of ['README.md', 'LICENSE']) {
  const copy = fileURLToPath(new URL(name, inPackage))
  if (process.argv[2] === 'add') copyFileSync(fileURLToPath(new URL(name, root)), copy)
  else rmSync(copy, { force: true })
}
