// Values as the text that the server reads.
import type { Value } from './client.ts'

export const textOf = (value: Value | undefined): string | null => {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  return typeof value === 'object' ? arrayText(value) : String(value)
}

const arrayText = (values: readonly Value[]): string => {
  let text = ''
  for (const value of values) text += text === '' ? elementText(value) : `,${elementText(value)}`
  return `{${text}}`
}

const elementText = (value: Value | undefined): string => {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'string') return `"${hasSpecial.test(value) ? value.replaceAll(special, '\\$&') : value}"`
  return typeof value === 'object' ? arrayText(value) : String(value)
}

const hasSpecial = /["\\]/
const special = /["\\]/g
