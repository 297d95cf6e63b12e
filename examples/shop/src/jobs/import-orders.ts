// Turns an export of orders into jobs, a bounded part of the file per job.
import { stat } from 'node:fs/promises'
import { confirmOrder, importOrders } from '../contracts.ts'
import { inData } from '../folder.ts'
import { readOrders } from '../orders.ts'
import { receiptRefs } from '../receipts.ts'

const rowsPerJob = 500

export const importOrdersHandler = importOrders.handler(async (ctx) => {
  const { file, from } = ctx.input
  const path = inData('incoming', file)
  const { size } = await stat(path)
  const answered = await receiptRefs()
  const result = { enqueued: 0, known: 0, rejected: 0 }

  // From the top each time, so that an order number is known to have been there before.
  for await (const row of readOrders(path)) {
    ctx.signal.throwIfAborted()
    if (row.row <= from) continue
    // What a handler enqueues is stored together with its completion. A part that is killed has enqueued nothing and runs
    // again; a part that ends hands on to the next one in the same commit.
    if (row.row > from + rowsPerJob) {
      const next = from + rowsPerJob
      ctx.enqueue(importOrders, { file, from: next }, { unique: `${file}:${next}` })
      break
    }
    ctx.progress(row.bytes, size, `bytes of ${file}`)
    if ('problem' in row) {
      result.rejected++
      ctx.log.warn(`${file} line ${row.line}: ${row.problem}`)
    } else if (answered.has(`order-${row.order.number}`)) {
      result.known++
    } else {
      result.enqueued++
      ctx.enqueue(confirmOrder, row.order, { unique: `${row.order.number}` })
    }
  }
  return result
})
