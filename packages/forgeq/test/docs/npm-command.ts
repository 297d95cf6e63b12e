// Commands around npm, which pages show and tests do not repeat: the network may be away, and `npm test` is this very run.
// What they name must be there.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './pages.ts'

export const isNpmCommand = (command: string): boolean => /^(npm|git|cd) /.test(command)

/** What the command names and there is not. */
export function findLacking(command: string): string | undefined {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  for (const part of command.split(' && ')) {
    const [program, verb = '', ...rest] = part.replace(/^npm run /, 'npm ').split(' ')
    if (program === 'node' && !existsSync(join(root, verb))) return `no ${verb}`
    if (program !== 'npm') continue
    if (verb === 'install') {
      const lacking = rest.find((name) => !name.startsWith('-') && !existsSync(join(root, 'node_modules', name)))
      if (lacking !== undefined) return `no package ${lacking}`
    } else if (!['ci', 'init', 'pkg'].includes(verb) && !(verb in scripts)) return `no script ${verb}`
  }
  return undefined
}
