// `npm start`: fills the data folder, starts the mail server and `forgeq dev`, enqueues the first wave of work, shows how
// it goes, and stops everything in order on Ctrl-C. With `--once` (or FORGEQ_SHOP_ONCE=1) it stops when the wave is done.
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ForgeQ, type JobView } from 'forgeq'
import { enqueueFirstWave } from './enqueue-first-wave.ts'
import { inData, ordersFile } from './folder.ts'
import { startForgeqDev } from './forgeq-dev.ts'
import { fillDataFolder } from './seed/fill-data-folder.ts'
import { type SmtpSink, startSmtpSink } from './smtp-sink.ts'
import { watchWave } from './watch-wave.ts'

const once = process.argv.includes('--once') || process.env['FORGEQ_SHOP_ONCE'] === '1'
const orders = Number(process.env['FORGEQ_SHOP_ORDERS'] ?? 3000)
const store = process.env['FORGEQ_STORE'] ?? `sqlite:${near(inData('forgeq.db'))}`
const handlers = fileURLToPath(new URL('jobs', import.meta.url))

const end = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end.abort())

/** What was started last comes first. */
const stops: (() => PromiseLike<void>)[] = []
try {
  await fillDataFolder(orders)
  const sink = await startSmtpSink(inData('mail'), Math.floor(orders / 3))
  stops.unshift(() => sink.close())

  const env = {
    FORGEQ_STORE: store,
    FORGEQ_SHOP_DATA: inData(),
    SHOP_SMTP_URL: sink.url,
    FORGEQ_CONCURRENCY: process.env['FORGEQ_CONCURRENCY'] ?? '20',
    FORGEQ_LOG_LEVEL: process.env['FORGEQ_LOG_LEVEL'] ?? 'error',
    FORGEQ_LOG_FORMAT: process.env['FORGEQ_LOG_FORMAT'] ?? 'pretty',
  }
  const forgeq = await startForgeqDev(handlers, env, end.signal)
  stops.unshift(() => forgeq.stop())
  forgeq.lost.catch((error: unknown) => end.abort(error))

  const forge = new ForgeQ({ store })
  stops.unshift(() => forge[Symbol.asyncDispose]())

  const startedAt = performance.now()
  await enqueueFirstWave(forge)
  const dead = await watchWave(forge, lineShower(), end.signal)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`\nThe first wave is done in ${seconds} s.\n${outcome(sink, dead)}`)
  if (!once) {
    console.log(whatToDoNow(forgeq.url, dead))
    await new Promise((resolve) => end.signal.addEventListener('abort', resolve, { once: true }))
  }
} catch (error) {
  if (!end.signal.aborted) end.abort(error)
} finally {
  for (const stop of stops) await stop()
}
// To be told to stop is the way this program ends; whatever else ended it is a failure.
const { aborted, reason } = end.signal
if (aborted && (reason as Error).name !== 'AbortError') {
  console.error(reason)
  process.exitCode = 1
}

function near(path: string): string {
  return relative(process.cwd(), path)
}

/** On a terminal one line that changes, elsewhere a line every two seconds. */
function lineShower(): (line: string) => void {
  if (process.stdout.isTTY) return (line) => process.stdout.write(`\r\u001B[2K${line}`)
  let nextAt = 0
  return (line) => {
    if (performance.now() < nextAt) return
    nextAt = performance.now() + 2000
    console.log(line)
  }
}

function outcome({ answers }: SmtpSink, dead: readonly JobView[]): string {
  const counts = {
    'mails sent': answers.accepted,
    'put off while the mail server was out (421)': answers.outage,
    'greylisted, came back later (451)': answers.greylisted,
    'too slow for the job, tried again': answers.slow,
    'bounced, no such address (550)': answers.bounced,
    'dead letters to look at': dead.length,
  }
  return Object.entries(counts)
    .map(([what, count]) => `  ${count.toLocaleString('en').padStart(5)} ${what}\n`)
    .join('')
}

function whatToDoNow(url: string, dead: readonly JobView[]): string {
  return `What you can do now, in this folder and another terminal:
  export FORGEQ_STORE=${store}
  npx forgeq status
  npx forgeq dead ls
  npx forgeq jobs show ${dead[0]?.id ?? '<id>'}
  curl '${url}/v1/jobs?state=dead'
  cat ${near(inData('reports', 'summary.txt'))}
and open ${near(inData('mail', 'order-10001.eml'))} with a mail program.
Add an order to ${near(inData('incoming', ordersFile))} and import the file again: only the new one is confirmed.
  npx forgeq enqueue import-orders '{"file":"${ordersFile}"}' --wait
Ctrl-C ends it all.`
}
