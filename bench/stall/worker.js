// One worker process: its handler says that it began, waits until it is told to finish, says whether it had been told to
// stop, and returns the name of this process.
import { subjects } from './subjects/index.js'

const [id, name, connection] = process.argv.slice(2)
let finish
const mayFinish = new Promise((resolve) => (finish = resolve))
process.on('message', () => finish())

const handle = async (signal) => {
  process.send({ says: 'started' })
  await mayFinish
  process.send({ says: 'effect', wasTold: signal?.aborted ?? false })
  return name
}

const { subject } = await subjects[id]()
await subject.work(JSON.parse(connection), handle)
