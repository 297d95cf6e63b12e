// The shop as a user starts it: real processes, real mails, real pictures, checked from outside. Its jobs are in its data folder,
// or in a schema of the PostgreSQL server that FORGEQ_TEST_STORE names.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ForgeQ } from 'forgeq'
import sharp from 'sharp'

const start = fileURLToPath(new URL('../start.js', import.meta.url))
const server = process.env['FORGEQ_TEST_STORE']
let data: string
before(async () => {
  data = await mkdtemp(join(tmpdir(), 'shop-'))
})
after(() => rm(data, { recursive: true }))

const store = () => (server ? `${server}?schema=shop_${process.pid}` : `sqlite:${join(data, 'forgeq.db')}`)

function startShop(t: TestContext, ...args: string[]) {
  const { FORGEQ_STORE: _, ...env } = process.env
  const shop = spawn(process.execPath, [start, ...args], {
    env: {
      ...env,
      ...(server && { FORGEQ_STORE: store() }),
      FORGEQ_SHOP_DATA: data,
      FORGEQ_SHOP_ORDERS: '200',
      FORGEQ_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => shop.kill())
  return { shop, ended: once(shop, 'exit') }
}

/** Read again from scratch: what the CSV says, without the shop's own reader. */
async function readExpected() {
  const lines = (await readFile(join(data, 'incoming/orders.csv'), 'utf8')).trim().split('\n').slice(1)
  const orders = new Map<string, { email: string; cents: number }>()
  for (const line of lines) {
    const fields = [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map((match) => match[1] ?? '')
    const [number = '', , , email = '', , , total = ''] = fields
    if (email.includes('@') && /^\d+\.\d\d$/.test(total) && !orders.has(number))
      orders.set(number, { email, cents: Math.round(Number(total) * 100) })
  }
  const bounces = [...orders].filter(([, { email }]) => email.endsWith('@gone.example')).map(([number]) => number)
  return { rows: lines.length, orders, bounces }
}

const deadLetters = async () => {
  const forge = new ForgeQ({ store: store() })
  try {
    const { jobs } = await forge.admin.jobs({ state: 'dead' })
    return jobs.map(({ type, payload }) => ({ type, ...(payload as { ref?: string; photo?: string }) }))
  } finally {
    await forge[Symbol.asyncDispose]()
  }
}

async function checkData() {
  const { rows, orders, bounces } = await readExpected()
  const mailed = [...orders.keys()].filter((number) => !bounces.includes(number))
  assert.deepEqual((await readdir(join(data, 'mail'))).sort(), mailed.map((number) => `order-${number}.eml`).sort())
  assert.equal((await readdir(join(data, 'invoices'))).length, orders.size)

  const photos = (await readdir(join(data, 'photos'))).filter((photo) => photo !== 'upload-4711.jpg')
  const thumbnails = await readdir(join(data, 'thumbnails'))
  assert.equal(thumbnails.length, 3 * photos.length)
  for (const file of thumbnails) {
    const { width, height, format } = await sharp(join(data, 'thumbnails', file)).metadata()
    const expected = Number(/-(\d+)\.webp$/.exec(file)?.[1])
    assert.deepEqual(
      { file, width, height, format },
      { file, width: expected, height: (expected * 3) / 4, format: 'webp' },
    )
  }

  const dead = await deadLetters()
  assert.deepEqual(
    dead.map(({ type, ref, photo }) => `${type} ${ref ?? photo}`).sort(),
    [...bounces.map((number) => `send-mail order-${number}`), 'thumbnail upload-4711.jpg'].sort(),
  )

  const days = (await readFile(join(data, 'reports/daily.csv'), 'utf8')).trim().split('\n').slice(1)
  const sum = (column: number) => days.reduce((total, line) => total + Number(line.split(',')[column]), 0)
  const cents = [...orders.values()].reduce((total, order) => total + order.cents, 0)
  assert.equal(sum(1), orders.size)
  assert.equal(Math.round(sum(2) * 100), cents)
  const summary = await readFile(join(data, 'reports/summary.txt'), 'utf8')
  assert.ok(summary.includes(`${rows - orders.size} rows were rejected`), summary)
}

test('one wave: every order is confirmed once, what cannot be done is a dead letter, the report adds up', async (t) => {
  const { shop, ended } = startShop(t, '--once')
  shop.stdout.resume()
  assert.deepEqual(await ended, [0, null])
  assert.ok((await readExpected()).bounces.length > 0, 'the file holds an address that bounces')
  await checkData()
})

test('a second start doubles nothing, stays until Ctrl-C and ends cleanly', async (t) => {
  const { shop, ended } = startShop(t)
  let printed = ''
  for await (const chunk of shop.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    printed += chunk
    if (printed.includes('Ctrl-C ends it all.')) break
  }
  shop.stdout.resume()
  shop.kill('SIGINT')
  assert.deepEqual(await ended, [0, null])
  assert.match(printed, /npx forgeq jobs show \S+/)
  await checkData()
})
