// A worker process that says of every job when its handler started.
import { now } from '../scenarios/partner.js'
import { subjectOf } from '../subjects/index.js'

const { subject: id, path, concurrency } = JSON.parse(process.argv[2])
const subject = await subjectOf(id)
const queue = await subject.open(path)
queue.work({ concurrency, handle: async ({ n }) => process.send({ n, at: now() }) })
process.on('message', () => process.exit())
process.send('up')
