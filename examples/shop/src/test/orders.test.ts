// Which rows of an export are orders, and what is said of the others.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readOrders } from '../orders.ts'

const header = 'number,date,customer,email,product,quantity,total'

async function read(t: TestContext, ...rows: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'shop-orders-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'orders.csv')
  await writeFile(file, [header, ...rows, ''].join('\n'))
  return all(readOrders(file))
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

test('quotes, commas and umlauts arrive as they were meant', async (t) => {
  const [row] = await read(t, '10001,2026-10-01,"Müller, Söhne & Co.",a@mail.example,"Vase ""Öland""",2,136.00')
  assert.ok(row && 'order' in row)
  assert.deepEqual(row.order, {
    number: 10001,
    date: '2026-10-01',
    customer: 'Müller, Söhne & Co.',
    email: 'a@mail.example',
    product: 'Vase "Öland"',
    quantity: 2,
    totalCents: 13600,
  })
})

test('a broken row is reported with its line and its fields, the rows around it are orders', async (t) => {
  const rows = await read(
    t,
    '10001,2026-10-01,Anna,a@mail.example,Mug,1,12.50',
    '10002,2026-10-01,Anna,,Mug,1,12.50',
    '10003,2026-10-01,Anna,a@mail.example,Mug,1,"12,5o"',
    '10001,2026-10-02,Tom,t@mail.example,Mug,1,12.50',
    '10004,2026-10-02,Tom',
    '10005,2026-10-02,Tom,t@mail.example,Mug,1,12.50',
  )
  assert.deepEqual(
    rows.map((row) => ('order' in row ? row.order.number : `${row.line} ${row.problem}`)),
    [
      10001,
      '3 email: Invalid email address',
      '4 total: must be an amount like 49.90',
      '5 number: 10001 was there before',
      '6 email: is missing; product: is missing; quantity: is missing; total: is missing',
      10005,
    ],
  )
})

test('a file that is not there is an error, not an empty import', async () => {
  await assert.rejects(all(readOrders(join(tmpdir(), 'no-such-orders.csv'))), { code: 'ENOENT' })
})
