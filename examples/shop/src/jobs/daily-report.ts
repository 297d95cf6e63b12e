// Adds up the orders of a file per day: reports/daily.csv for a spreadsheet, reports/summary.txt for people.
import { dailyReport } from '../contracts.ts'
import { euros } from '../euros.ts'
import { inData } from '../folder.ts'
import { readOrders } from '../orders.ts'
import { writeAtomically } from '../write-atomically.ts'

export const dailyReportHandler = dailyReport.handler(async ({ input, signal }) => {
  const days = new Map<string, { orders: number; cents: number }>()
  const rejected: string[] = []
  for await (const row of readOrders(inData('incoming', input.file))) {
    signal.throwIfAborted()
    if ('problem' in row) {
      rejected.push(`line ${row.line}: ${row.problem}`)
      continue
    }
    const { date, totalCents } = row.order
    const day = days.get(date) ?? { orders: 0, cents: 0 }
    days.set(date, { orders: day.orders + 1, cents: day.cents + totalCents })
  }

  const sorted = [...days].sort(([a], [b]) => a.localeCompare(b))
  const orders = sorted.reduce((sum, [, day]) => sum + day.orders, 0)
  const revenueCents = sorted.reduce((sum, [, day]) => sum + day.cents, 0)
  const lines = sorted.map(([date, day]) => `${date},${day.orders},${(day.cents / 100).toFixed(2)}`)
  await writeAtomically(inData('reports', 'daily.csv'), ['date,orders,revenue', ...lines, ''].join('\n'))
  await writeAtomically(
    inData('reports', 'summary.txt'),
    [
      `${input.file}: ${orders} orders on ${days.size} days, ${euros(revenueCents)}`,
      `${rejected.length} rows were rejected:`,
      ...rejected.map((line) => `  ${line}`),
      '',
    ].join('\n'),
  )
  return { orders, rejected: rejected.length, revenueCents }
})
