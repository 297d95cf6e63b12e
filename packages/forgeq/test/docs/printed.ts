// What a program says it prints: the comments behind console.log, and comment lines right below one.

/** In the order of the program. */
export function printed(code: string): string[] {
  const lines: string[] = []
  let isBelow = false
  for (const line of code.split('\n')) {
    const [, behind] = /console\.log\(.*\) \/\/ (.+)$/.exec(line) ?? []
    if (behind !== undefined) lines.push(behind)
    const [, below] = /^\/\/ (.+)$/.exec(line) ?? []
    if (isBelow && below !== undefined) lines.push(below)
    isBelow = /console\.log\(/.test(line) || (isBelow && (below !== undefined || line === '}'))
  }
  return lines
}
