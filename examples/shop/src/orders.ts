// Reads an export of orders row by row and says of each whether it is an order or what is wrong with it.
import { createReadStream } from 'node:fs'
import { type Info, parse } from 'csv-parse'
import { z } from 'zod'

export const orderSchema = z.object({
  number: z.int(),
  date: z.iso.date(),
  customer: z.string().min(1),
  email: z.email(),
  product: z.string().min(1),
  quantity: z.int().positive(),
  totalCents: z.int().nonnegative(),
})
export type Order = z.infer<typeof orderSchema>

const text = z.string('is missing')
const digits = text.regex(/^\d+$/, 'must be a whole number').transform(Number)

/** A row as it stands in the file: all text, money as euros with two decimals. */
const rowSchema = z
  .object({
    number: digits,
    date: text,
    customer: text,
    email: text,
    product: text,
    quantity: digits,
    total: text.regex(/^\d+\.\d\d$/, 'must be an amount like 49.90'),
  })
  .transform(({ total, ...row }) => ({ ...row, totalCents: Number(total.replace('.', '')) }))
  .pipe(orderSchema)

interface Position {
  /** 1 = the first row below the header. */
  readonly row: number
  readonly line: number
  /** How far into the file the row ends. */
  readonly bytes: number
}
export type OrderRow = Position & ({ readonly order: Order } | { readonly problem: string })

/** Streams the rows of a CSV file with a header; a broken row is reported, an unreadable file throws. */
export async function* readOrders(path: string): AsyncGenerator<OrderRow> {
  const source = createReadStream(path)
  const parser = parse({ bom: true, columns: true, info: true, relax_column_count: true, skip_empty_lines: true })
  source.on('error', (error) => parser.destroy(error))
  const seen = new Set<number>()
  try {
    for await (const { info, record } of source.pipe(parser) as AsyncIterable<{ info: Info; record: unknown }>) {
      const position = { row: info.records, line: info.lines, bytes: info.bytes }
      const { data: order, error } = rowSchema.safeParse(record)
      if (error) {
        const problem = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
        yield { ...position, problem }
      } else if (seen.has(order.number)) {
        yield { ...position, problem: `number: ${order.number} was there before` }
      } else {
        seen.add(order.number)
        yield { ...position, order }
      }
    }
  } finally {
    source.destroy()
  }
}
