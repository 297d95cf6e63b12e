// Compares what a page says a command prints with what it printed. Ids, instants, durations and the like differ from run
// to run: they must be of the same kind, and an id must be the same one wherever the page shows it.

/** `...` on a line of its own stands for any number of lines. */
const anyLines = '...'

const id = String.raw`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
/** What may differ, and what may stand in its place. */
const varying: readonly (readonly [string, string])[] = [
  [String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`, String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`],
  [String.raw`\b\d\d:\d\d:\d\d\.\d{3}\b`, String.raw`\d\d:\d\d:\d\d\.\d{3}`],
  [String.raw`\bnow\b|\b\d+m?s ago\b`, String.raw`(?:now|\d+m?s ago)`],
  [String.raw`\bin \d+(?:\.\d)?(?:ms|s|m)\b`, String.raw`(?:now|in \d+(?:\.\d)?(?:ms|s|m))`],
  [String.raw`\b\d+(?:\.\d+)? ?m?s\b`, String.raw`\d+(?:\.\d+)? ?m?s`],
  [String.raw`"(?:durationMs|waitedMs|delayMs|pid)":[\d.]+`, String.raw`"(?:durationMs|waitedMs|delayMs|pid)":[\d.]+`],
  [String.raw`on \S+ \(process \d+\)`, String.raw`on \S+ \(process \d+\)`],
  [String.raw`sqlite \d+\.\d+\.\d+`, String.raw`sqlite \d+\.\d+\.\d+`],
  [String.raw`"version":"3\.\d+\.\d+"`, String.raw`"version":"3\.\d+\.\d+"`],
]
const tokens = new RegExp([`(${id})`, ...varying.map(([shown]) => `(${shown})`), String.raw`(\s+)`].join('|'), 'g')

export class Transcript {
  /** Ids as the page shows them -> as they are in this run. */
  readonly #ids = new Map<string, string>()

  /** A command of the page with the ids of this run. */
  translate(command: string): string {
    return command.replaceAll(new RegExp(id, 'g'), (shown) => this.#ids.get(shown) ?? shown)
  }

  /** How many lines of `actual` the expected ones take, or which one is not met. `isWhole`: nothing may be left over. */
  compare(expected: readonly string[], actual: readonly string[], isWhole: boolean): { missing?: string } {
    let at = 0
    let mayBeFar = false
    for (const line of expected) {
      if (line.trim() === anyLines) {
        mayBeFar = true
        continue
      }
      const found = actual.findIndex((one, i) => i >= at && (mayBeFar || i === at) && this.#meets(line, one))
      if (found < 0) return { missing: line }
      at = found + 1
      mayBeFar = false
    }
    return isWhole && !mayBeFar && at < actual.length
      ? { missing: `(nothing after this, but there is) ${actual[at]}` }
      : {}
  }

  #meets(expected: string, actual: string): boolean {
    const shownIds: string[] = []
    let pattern = ''
    let end = 0
    for (const match of expected.matchAll(tokens)) {
      pattern += escape(expected.slice(end, match.index))
      end = match.index + match[0].length
      const kind = match.slice(1).findIndex((group) => group !== undefined)
      if (kind === 0) {
        const known = this.#ids.get(match[0])
        pattern += known ?? `(${id})`
        if (known === undefined) shownIds.push(match[0])
      } else if (kind === varying.length + 1) pattern += String.raw`\s+`
      else pattern += varying[kind - 1]![1]
    }
    const met = new RegExp(`^${pattern}${escape(expected.slice(end))}\\s*$`).exec(actual)
    if (met === null) return false
    for (const [i, shown] of shownIds.entries()) this.#ids.set(shown, met[i + 1]!)
    return true
  }
}

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
