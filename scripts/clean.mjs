// Removes what the build made, so that output of a deleted source file is neither run nor published.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

for (const folder of ['packages/forgeq/dist', 'packages/forgeq/dist-test', 'examples/dist', 'examples/shop/dist']) {
  rmSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)), { recursive: true, force: true })
}
