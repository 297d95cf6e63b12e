// How errors are worded: a message begins in lower case and has no full stop at its end, because it is shown behind
// `error:` or inside another sentence. What to do next is joined by a semicolon or a colon.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** Makes an error, or a part of one, of the texts among its arguments. */
const maker = /new (?:Forge)?Error\(|\b(?:invalidOption|refuse)\(|\bmessage[:=]? /g

interface Literal {
  /** Without quotes; what a template puts in is `…`. */
  readonly text: string
  /** Put together with + with the literal before. */
  readonly goesOn: boolean
}

/** The texts between `start` and the end of the call or line, outermost ones only. */
function literalsAt(code: string, start: number, isCall: boolean): Literal[] {
  const found: Literal[] = []
  let depth = 0
  let between = ''
  for (let at = start; at < code.length; at++) {
    const char = code[at]!
    if ('\'"`'.includes(char)) {
      const end = endOfLiteral(code, at)
      const text = code.slice(at + 1, end).replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
      found.push({ text, goesOn: /\+\s*$/.test(between) })
      between = ''
      at = end
      continue
    }
    between += char
    if ('([{'.includes(char)) depth++
    if (')]}'.includes(char) && depth-- === 0) return found
    if (!isCall && char === '\n' && depth === 0 && !/[+=?:(]\s*$/.test(between)) return found
  }
  return found
}

function endOfLiteral(code: string, start: number): number {
  let depth = 0
  for (let at = start + 1; at < code.length; at++) {
    if (code[at] === '\\') at++
    else if (code.startsWith('${', at)) depth++
    else if (depth > 0 && code[at] === '}') depth--
    else if (depth === 0 && code[at] === code[start]) return at
  }
  return code.length
}

const isCode = (text: string): boolean => /^[A-Z_]+$/.test(text)
const beginsWithName = (text: string): boolean => /^(SQLite|PostgreSQL|JSON|Node)\b/.test(text)

/** The texts of messages in `code` that are worded otherwise. */
function faults(code: string): string[] {
  return [...code.matchAll(maker)].flatMap(({ 0: call, index }) => {
    const literals = literalsAt(code, index + call.length, call.endsWith('(')).filter(({ text }) => !isCode(text))
    return literals.flatMap(({ text, goesOn }, i) => {
      const isEnd = literals[i + 1]?.goesOn !== true
      const isWrong = (!goesOn && /^[A-Z][a-z]/.test(text) && !beginsWithName(text)) || (isEnd && /[^.]\.$/.test(text))
      return isWrong || /[a-z)`]\. [A-Z]/.test(text) ? [text] : []
    })
  })
}

test('the check sees what is worded otherwise, and nothing else', () => {
  const right = [
    "new ForgeError('USAGE', 'no type is named: give one')",
    "new ForgeError('CONFIG', `SQLite ${version} is too old; ` +\n  `${oldest} or newer is needed`, { cause })",
    "invalidOption('at', 'must be a valid Date')",
    'const message = `${what} does not match`\n// A comment. Another one.',
  ]
  assert.deepEqual(right.flatMap(faults), [])
  const wrong = [
    "new ForgeError('USAGE', 'Which type?')",
    "new ForgeError(\n  'CONFIG',\n  `it is too old; ` + 'install a newer one.',\n)",
    "invalidOption('at', `must be a ${kind}.`)",
    "new ForgeError('USAGE', isOne ? 'it is one. Take it' : 'it is none')",
    "throw refuse([{ path: '', message: 'Is missing' }])",
    'const message = `${what} does not match.`',
  ]
  assert.deepEqual(
    wrong.filter((code) => faults(code).length === 0),
    [],
  )
})

test('every error begins in lower case and ends without a full stop', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    // Refusals in SQL are worded as the server's are: a message, and a hint that is a sentence.
    .filter(
      (name) =>
        name.endsWith('.ts') && name !== join('sqlite', 'schema.ts') && !name.startsWith(join('postgres', 'sql-')),
    )
  const makers = files.flatMap((file) => [...readFileSync(join(src, file), 'utf8').matchAll(maker)])
  assert.ok(makers.length > 150, `only ${makers.length} places were seen`)
  const found = files.flatMap((file) => faults(readFileSync(join(src, file), 'utf8')).map((text) => `${file}: ${text}`))
  assert.deepEqual(found, [])
})
