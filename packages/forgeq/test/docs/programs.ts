// The programs of a page: blocks of code, each alone or with those that continue it, as one module.
import type { Block, Page } from './pages.ts'

export interface Program {
  /** Name of its module in the page's folder. */
  readonly module: string
  /** The page gives it a name: other blocks run it. */
  readonly isFile: boolean
  readonly parts: readonly Block[]
}

export function programsOf({ path, blocks }: Page): Program[] {
  const programs: { module: string; isFile: boolean; parts: Block[] }[] = []
  for (const block of blocks) {
    if (block.language !== 'ts' && block.language !== 'js') continue
    const last = programs.at(-1)
    if (block.continues) {
      if (last === undefined) throw new Error(`${path}:${block.line}: nothing to continue`)
      last.parts.push(block)
      continue
    }
    const module = block.file ?? `line-${block.line}.${block.language}`
    if (programs.some((other) => other.module === module)) throw new Error(`${path}:${block.line}: ${module} twice`)
    programs.push({ module, isFile: block.file !== undefined, parts: [block] })
  }
  return programs
}

/** Its text, in which code has the line number that it has on the page. */
export function textOf({ parts }: Program): string {
  const lines: string[] = []
  for (const { code, line } of parts) {
    while (lines.length < line - 1) lines.push('')
    lines.push(...code.split('\n'))
  }
  // Without imports and exports it would be a script, which must not wait.
  return `${lines.join('\n')}\nexport {}\n`
}
