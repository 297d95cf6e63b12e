// What people read: aligned tables, relative times, colours only where they can be seen.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { paintFor } from '#src/cli/paint.js'
import { nearest } from '#src/cli/nearest.js'
import { table } from '#src/cli/table.js'
import { when } from '#src/cli/when.js'
import { harmless, oneLine } from '#src/observe/printable.js'

const plain = paintFor({}, {})
const columns = [
  { title: 'NAME', cell: ([name]: readonly [string, number]) => name, shrinks: true },
  { title: 'N', cell: ([, n]: readonly [string, number]) => String(n), align: 'right' as const },
  { title: 'NONE', cell: () => '' },
]

test('columns are aligned, numbers to the right, empty columns are left out', () => {
  assert.deepEqual(
    table(
      [
        ['a', 5],
        ['long', 1000],
      ],
      columns,
      plain,
    ),
    ['NAME     N', 'a        5', 'long  1000'],
  )
})

test('a narrow terminal cuts what may be cut; a pipe cuts nothing', () => {
  const rows = [['a very long name', 1]] as const
  assert.deepEqual(table(rows, columns, plain, 12), ['NAME       N', 'a very l…  1'])
  assert.deepEqual(table(rows, columns, plain).at(-1), 'a very long name  1')
})

test('colours do not count as width', () => {
  const loud = paintFor({}, { FORCE_COLOR: '1' })
  const painted = [{ title: 'S', cell: (state: string) => state, paint: (text: string) => loud('red', text) }]
  assert.deepEqual(table(['ab'], [...painted, { title: 'T', cell: () => 'x' }], plain), [
    'S   T',
    '\u001B[31mab\u001B[0m  x',
  ])
})

test('colours follow NO_COLOR, FORCE_COLOR and the terminal', () => {
  const isOn = (stream: object, env: NodeJS.ProcessEnv): boolean => paintFor(stream, env)('red', 'x') !== 'x'
  const terminal = { isTTY: true, hasColors: () => true }
  assert.equal(isOn(terminal, {}), true)
  assert.equal(isOn({ isTTY: true, hasColors: () => false }, {}), false)
  assert.equal(isOn({}, {}), false)
  assert.equal(isOn(terminal, { NO_COLOR: '1' }), false)
  assert.equal(isOn({}, { FORCE_COLOR: '1' }), true)
  assert.equal(isOn(terminal, { FORCE_COLOR: '0' }), false)
})

test('instants are said as people say them', () => {
  assert.deepEqual(
    [when(null, 0), when(900, 0), when(61_000, 0), when(0, 3_999), when(new Date(0), 7_200_000)],
    ['', 'now', 'in 1m', '3s ago', '2h ago'],
  )
})

test('texts of jobs cannot move the cursor', () => {
  assert.equal(harmless('a\u001B[2Jb\r\n\tc\u0007\u009B'), 'a\\x1b[2Jb\n\tc\\x07\\x9b')
  assert.equal(oneLine(' a\n  b '), 'a b')
})

test('the nearest name is offered only when it is near', () => {
  assert.equal(nearest('send-mial', ['send-mail', 'thumbnail']), 'send-mail')
  assert.equal(nearest('Worker', ['worker']), 'worker')
  assert.equal(nearest('import', ['send-mail', 'thumbnail']), undefined)
  assert.equal(nearest('x', []), undefined)
})
