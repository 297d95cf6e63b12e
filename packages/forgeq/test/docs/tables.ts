// The tables of a page as data.
import type { Page } from './pages.ts'

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** In the order of the page; tables inside code blocks are none. */
export function tablesOf({ text }: Page): Table[] {
  const lines = text.replaceAll(/^```[^]*?^```$/gm, '').split('\n')
  const tables: Table[] = []
  for (const [i, line] of lines.entries()) {
    if (!/^\|[-| :]+\|$/.test(line)) continue
    const end = lines.findIndex((next, j) => j > i && !next.startsWith('|'))
    const rows = lines.slice(i + 1, end < 0 ? undefined : end)
    tables.push({ head: cellsOf(lines[i - 1] ?? ''), rows: rows.map(cellsOf) })
  }
  return tables
}

/** `\|` is a bar inside a cell. */
const cellsOf = (line: string): string[] =>
  line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))

export const withoutTicks = (cell: string): string => cell.replaceAll('`', '')
