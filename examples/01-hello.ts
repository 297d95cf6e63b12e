// A job, a worker, a result: all in one process, with the jobs in .forgeq/forgeq.db.
import { defineJob, ForgeQ } from 'forgeq'
import { z } from 'zod'

const hello = defineJob('hello', { input: z.object({ name: z.string() }) }, async ({ input, log }) => {
  log.info(`saying hello to ${input.name}`)
  return { text: `Hello, ${input.name}!` }
})

const forge = new ForgeQ()
const working = forge.worker({ handlers: [hello] }).run()

const job = await forge.enqueue(hello, { name: 'Ada' })
const { text } = await job.result()
console.log(text) // Hello, Ada!

await forge.close()
await working
