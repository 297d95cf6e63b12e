// The documentation as data: which pages there are, and the code blocks of a page with the line each begins at. A comment
// `<!-- test: ... -->` above a block says what its own text cannot say.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../../../', import.meta.url))

/** `ts` is compiled and run, `console` is carried out and compared, `text` is a map of folders that must exist. */
export const languages = ['ts', 'js', 'console', 'sql', 'json', 'ndjson', 'text'] as const
export type Language = (typeof languages)[number]

export interface Block {
  readonly language: Language
  readonly code: string
  /** Where its first line of code is, counted from 1. */
  readonly line: number
  /** Goes on where the `ts` block before it ended. */
  readonly continues: boolean
  /** A server or worker: it runs until the end of the page, and must then end well when it is told to stop. */
  readonly keepsRunning: boolean
  /** It is a file of this name; other blocks import it or give it to a command. */
  readonly file: string | undefined
}

export interface Page {
  /** Relative to the repository. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly Block[]
}

const folders = ['.', 'docs', 'examples', 'examples/shop', 'packages/forgeq', 'bench']

export function readPages(): Page[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.md'))
    .map((path) => readPage(path))
}

export function readPage(path: string): Page {
  const text = readFileSync(join(root, path), 'utf8')
  return { path, text, blocks: blocksOf(path, text.split('\n')) }
}

function blocksOf(path: string, lines: readonly string[]): Block[] {
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const fence = /^(\s*)```(.*)$/.exec(lines[at]!)
    if (fence === null) continue
    const [, indent = '', info = ''] = fence
    const end = lines.findIndex((line, i) => i > at && line.trimEnd() === `${indent}\`\`\``)
    if (end < 0) throw new Error(`${path}:${at + 1}: this block has no end`)
    const language = languages.find((one) => one === info)
    if (language === undefined) {
      throw new Error(`${path}:${at + 1}: a block must be one of ${languages.join(', ')}, not '${info}'`)
    }
    const code = lines.slice(at + 1, end).map((line) => line.slice(indent.length))
    blocks.push({ language, code: code.join('\n'), line: at + 2, ...marks(path, lines, at, language, code[0] ?? '') })
    at = end
  }
  return blocks
}

function marks(
  path: string,
  lines: readonly string[],
  fence: number,
  language: Language,
  firstLine: string,
): Pick<Block, 'continues' | 'keepsRunning' | 'file'> {
  const above = lines.slice(0, fence).findLast((line) => line.trim() !== '') ?? ''
  const [, mark] = /^\s*<!-- test: (.+) -->$/.exec(above) ?? []
  const name = /^file (\S+)$/.exec(mark ?? '')?.[1]
  if (mark !== undefined && name === undefined && mark !== 'continues' && mark !== 'keeps running') {
    throw new Error(`${path}:${fence + 1}: the mark '${mark}' above this block is not known`)
  }
  const named = language === 'ts' || language === 'js' ? /^\/\/ ([\w./-]+\.m?[tj]s)$/.exec(firstLine)?.[1] : undefined
  return { continues: mark === 'continues', keepsRunning: mark === 'keeps running', file: name ?? named }
}
