// How results reach standard output: tables that fit the terminal, JSON for programs.
import { paintFor, type Paint } from './paint.ts'
import { table, type Column } from './table.ts'

export const paint: Paint = paintFor(process.stdout)

export function printTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
  const width = process.stdout.isTTY ? process.stdout.columns : undefined
  for (const line of table(rows, columns, paint, width)) console.log(line)
}

/** Name and value, one a line; rows without a value are left out. */
export function printFacts(facts: readonly (readonly [name: string, value: string | undefined])[]): void {
  const shown = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined && fact[1] !== '')
  const width = Math.max(...shown.map(([name]) => name.length))
  for (const [name, value] of shown) {
    console.log(`${paint('dim', name.padEnd(width))}  ${value.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`)
  }
}

/** To standard error: what is said to people besides the data. */
export const say = (text: string): void => console.error(text)
