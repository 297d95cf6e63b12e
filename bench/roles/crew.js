// One of several worker processes on one file: says now and then how many jobs it completed and how long it went
// without any, and what CPU it took.
import { now } from '../scenarios/partner.js'
import { subjectOf } from '../subjects/index.js'

const { subject: id, path, concurrency } = JSON.parse(process.argv[2])
const subject = await subjectOf(id)
const queue = await subject.open(path)
let done = 0
let lastAt = now()
let gapMs = 0
let toldAt = 0
const tell = () => {
  toldAt = now()
  const { user, system } = process.cpuUsage()
  process.send({ done, gapMs, cpuUs: user + system })
}
queue.work({
  concurrency,
  handle: async () => {},
  completed: () => {
    const at = now()
    gapMs = Math.max(gapMs, at - lastAt)
    lastAt = at
    done += 1
    // Not by a timer alone: the loop of a library that works synchronously lets none run.
    if (at - toldAt > 20) tell()
  },
})
setInterval(tell, 20)
process.on('message', () => process.exit())
process.send('up')
