// Rows in aligned columns: right-aligned numbers, no colour counted as width, cut to the terminal but never when piped.
import type { Paint } from './paint.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  /** Applied after cutting and padding, so that codes do not count. */
  readonly paint?: (text: string, row: Row) => string
  readonly align?: 'right'
  /** Gives way first when the terminal is narrow. */
  readonly shrinks?: boolean
}

const gap = '  '
const leastWidth = 8

/** Lines without a newline at the end; `width` = of the terminal, `undefined` = any. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  paint: Paint,
  width?: number,
): string[] {
  const shown = columns.filter(({ cell }) => rows.some((row) => cell(row) !== ''))
  const cells = rows.map((row) => shown.map(({ cell }) => cell(row)))
  const widths = shown.map(({ title }, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)))
  if (width !== undefined) shrink(shown, widths, width)
  const line = (texts: readonly string[], painted: (text: string, i: number) => string): string =>
    texts
      .map((text, i) => {
        const cut = text.length > widths[i]! ? `${text.slice(0, widths[i]! - 1)}…` : text
        const room = ' '.repeat(widths[i]! - cut.length)
        return shown[i]!.align === 'right' ? room + painted(cut, i) : painted(cut, i) + room
      })
      .join(gap)
      .trimEnd()
  const head = line(
    shown.map(({ title }) => title),
    (text) => paint('dim', text),
  )
  return [head, ...cells.map((texts, at) => line(texts, (text, i) => shown[i]!.paint?.(text, rows[at]!) ?? text))]
}

function shrink(columns: readonly Column<never>[], widths: number[], width: number): void {
  let excess = widths.reduce((sum, each) => sum + each, gap.length * (widths.length - 1)) - width
  columns.forEach(({ shrinks, title }, i) => {
    if (!shrinks || excess <= 0) return
    const given = Math.min(excess, widths[i]! - Math.max(leastWidth, title.length))
    if (given <= 0) return
    widths[i]! -= given
    excess -= given
  })
}
