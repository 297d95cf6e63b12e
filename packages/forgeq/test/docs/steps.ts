// The steps of a `console` block: commands behind "$ ", each with the lines below it that it prints.

export interface Step {
  readonly command: string
  readonly expected: readonly string[]
  /** Counted from the first line of the block. */
  readonly line: number
}

export function stepsOf(code: string): Step[] {
  const steps: { command: string; expected: string[]; line: number }[] = []
  let isOpen = false
  for (const [line, text] of code.split('\n').entries()) {
    const last = steps.at(-1)
    if (isOpen && last !== undefined) last.command += `\n${text}`
    else if (text.startsWith('$ ')) steps.push({ command: text.slice(2), expected: [], line })
    else last?.expected.push(text)
    isOpen = (isOpen || text.startsWith('$ ')) && text.endsWith('\\')
  }
  return steps.map((step) => ({ ...step, expected: withoutEnd(step.expected) }))
}

const withoutEnd = (lines: readonly string[]): readonly string[] =>
  lines.slice(0, lines.findLastIndex((line) => line !== '') + 1)
