// A process that works: it says `up` once it hears of work, and completes what it claims, one job in each exchange, until it is told
// to `stop`.
import { complete } from '#src/conformance/endings.js'
import { postgres } from '#src/postgres/index.js'
import { registration } from '../jobs.ts'

const [url, schema] = process.argv.slice(2) as [string, string]
const store = postgres(url, { schema, allowUnsafe: true })
const worker = `w${process.pid}`
let wake = (): void => {}
let isOver = false

const stop = (): void => {
  isOver = true
  wake()
}
process.on('message', (told) => told === 'stop' && stop())
// Whoever started it is gone.
process.on('disconnect', stop)
store.listen(['ready:default'], () => wake())
await store.register(registration(worker))
process.send!('up')
const wants = [{ queue: 'default', slots: 1 }]
let settlements: ReturnType<typeof complete>[] = []
for (let turn = 1; !isOver; turn++) {
  const woken = new Promise<void>((resolve) => (wake = resolve))
  const reply = await store.exchange({ worker, turn, settlements, wants, slots: 1, notes: [] })
  if (reply.closed) break
  settlements = reply.claimed.map((claim) => complete(claim, 'null'))
  if (settlements.length === 0) await woken
}
await store.close()
if (process.connected) process.disconnect()
