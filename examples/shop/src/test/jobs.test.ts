// What single jobs promise when they run again: an import enqueues no order twice, a mail is sent once.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { testForge } from 'forgeq/testing'
import { confirmOrder, importOrders, sendMail } from '../contracts.ts'
import { inData } from '../folder.ts'
import { importOrdersHandler } from '../jobs/import-orders.ts'
import { sendMailHandler } from '../jobs/send-mail.ts'
import { mailer } from '../mailer.ts'
import { readReceipt, writeReceipt } from '../receipts.ts'
import { makeOrders } from '../seed/make-orders.ts'
import { startSmtpSink } from '../smtp-sink.ts'

beforeEach(async () => {
  process.env['FORGEQ_SHOP_DATA'] = await mkdtemp(join(tmpdir(), 'shop-jobs-'))
  for (const folder of ['incoming', 'invoices', 'mail'] as const) await mkdir(inData(folder))
})
afterEach(() => rm(inData(), { recursive: true }))

test('an import hands on part by part until every order of the file is enqueued', async () => {
  await using forge = testForge()
  await writeFile(inData('incoming', 'orders.csv'), makeOrders(1100))
  await forge.enqueue(importOrders, { file: 'orders.csv' })
  const { completed } = await forge.drain([importOrdersHandler])
  assert.equal(completed, 3)
  const numbers = forge.enqueued(confirmOrder).map(({ input }) => input.number)
  assert.equal(new Set(numbers).size, numbers.length)
  // 4 rows without address, 4 with a bad total, 3 sent twice, 2 cut off.
  assert.equal(numbers.length, 1100 - 13)
})

test('a second import enqueues neither what still waits nor what has its receipt', async () => {
  await using forge = testForge()
  await writeFile(inData('incoming', 'orders.csv'), makeOrders(20))
  await writeReceipt('order-10001', { outcome: 'accepted', answer: '250' })
  await writeReceipt('order-10002', { outcome: 'bounced', answer: '550' })
  for (let run = 0; run < 2; run++) {
    await forge.enqueue(importOrders, { file: 'orders.csv' })
    await forge.drain([importOrdersHandler])
  }
  const numbers = forge.enqueued(confirmOrder).map(({ input }) => input.number)
  assert.deepEqual(
    numbers,
    Array.from({ length: 18 }, (_, index) => 10003 + index),
  )
})

test('a mail whose job runs again is not sent again; one that bounced is a dead letter', async (t) => {
  const sink = await startSmtpSink(inData('mail'), Number.POSITIVE_INFINITY)
  process.env['SHOP_SMTP_URL'] = sink.url
  t.after(async () => {
    mailer().close()
    await sink.close()
  })
  await using forge = testForge()
  await writeFile(inData('invoices', '1.html'), '<h1>Invoice 1</h1>')
  const mail = { ref: 'order-1', to: 'anna@mail.example', subject: 'Your order', text: 'Thank you', invoice: '1.html' }
  const outcomes = []
  for (const input of [mail, mail, { ...mail, ref: 'order-2', to: 'tom@gone.example' }]) {
    await forge.enqueue(sendMail, input)
    outcomes.push(await forge.drain([sendMailHandler]))
  }
  assert.deepEqual(
    outcomes.map(({ completed, dead }) => [completed, dead]),
    [
      [1, 0],
      [1, 0],
      [0, 1],
    ],
  )
  assert.deepEqual(await readdir(inData('mail')), ['order-1.eml'])
  assert.equal((await readReceipt('order-2'))?.outcome, 'bounced')
})
