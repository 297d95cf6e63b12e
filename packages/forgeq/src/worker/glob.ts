// Patterns like jobs/**/*.js, because Node 20 has no glob of its own: *, **, ? and {a,b}.
import { existsSync, readdirSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'

export const isGlob = (text: string): boolean => /[*?{]/.test(text)

/** Files below `folder`, sorted; never in node_modules nor in folders whose name begins with a dot. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return /^(\.|node_modules$)/.test(entry.name) ? [] : filesBelow(path)
      return [path]
    })
}

/** Absolute paths of the files that match, sorted. */
export function glob(pattern: string, folder: string): string[] {
  const parts = pattern.split(/[/\\]/)
  const fixed = parts.slice(0, parts.findIndex(isGlob)).join('/')
  const root = resolve(folder, pattern.startsWith('/') ? `${fixed}/` : fixed)
  const matcher = new RegExp(`^${toRegExp(pattern.slice(fixed.length).replace(/^\//, ''))}$`)
  if (!existsSync(root)) return []
  return filesBelow(root).filter((path) => matcher.test(relative(root, path).split(sep).join('/')))
}

function toRegExp(pattern: string): string {
  return pattern.replace(/\*\*\/|\*\*|\*|\?|\{([^{}]*)\}|[.+^$()|[\]\\]/g, (token, choices: string | undefined) => {
    if (choices !== undefined) return `(?:${choices.split(',').map(toRegExp).join('|')})`
    const meanings: Record<string, string> = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' }
    return meanings[token] ?? `\\${token}`
  })
}
