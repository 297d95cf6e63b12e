// The first handler file, for somebody who has none: asked for, never written unasked.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { defaultFolder } from './default-folder.ts'

/** Runs as it is, or without types where Node does not strip them. */
const extension = process.features.typescript ? 'ts' : 'mjs'

export const firstHandlerFile: string = `${defaultFolder}/hello.${extension}`

const contents = `import { defineJob, typed } from 'forgeq'

export const hello = defineJob('hello', { input: typed${extension === 'ts' ? '<{ name: string }>' : ''}() }, async ({ input, log }) => {
  log.info(\`hello to \${input.name}\`)
  return { hello: input.name }
})
`

export async function wantsFirstHandler(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const answer = await terminal.question(
      `There are no handlers here. Write a first one to ${firstHandlerFile}? [y/N] `,
    )
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

/** Leaves a file that is there as it is. */
export function writeFirstHandler(folder: string): void {
  const path = join(folder, firstHandlerFile)
  mkdirSync(join(folder, defaultFolder), { recursive: true })
  if (!existsSync(path)) writeFileSync(path, contents)
}

/** Whether modules in `folder` can import this package. */
export function isInstalled(folder: string): boolean {
  try {
    createRequire(join(folder, 'index.js')).resolve('forgeq/package.json')
    return true
  } catch {
    return false
  }
}
