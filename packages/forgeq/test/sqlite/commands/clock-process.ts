// One process on a file: enqueues, or works until nothing is left, and tells what it sees. `FAKETIME` is for others to set.
import { defineJob, ForgeQ, typed } from 'forgeq'
import { machineTime } from '#src/sqlite/wall-clock.js'

const [path, what] = process.argv.slice(2)
const forge = new ForgeQ({ store: `sqlite:${path}` })
const job = defineJob('job', { input: typed<{ name: string }>() }, ({ input }) => input.name)

if (what === 'enqueue') {
  await forge.enqueue(job, { name: 'ready' })
  await forge.enqueue(job, { name: 'later' }, { delay: '30m' })
  console.log('{}')
} else {
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  const { jobs } = await forge.admin.jobs()
  const stateOf = (name: string): string | undefined =>
    jobs.find(({ payload }) => (payload as { name: string }).name === name)?.state
  const info = await forge.ready()
  const workers = await forge.admin.workers()
  const closed = workers.filter((worker) => worker.held > 0).length
  const told = { ready: stateOf('ready'), later: stateOf('later'), closed, offMs: info.now - (machineTime() ?? 0) }
  console.log(JSON.stringify(told))
}
await forge.close()
