// The HTTP API in your own process: other programs of this machine enqueue, look and wait.
import { defineJob, ForgeQ } from 'forgeq'
import { serve } from 'forgeq/server'
import { z } from 'zod'

const resize = defineJob('resize', { input: z.object({ width: z.number().int() }) }, ({ input }) => ({
  file: `cat-${input.width}.jpg`,
}))

const forge = new ForgeQ({ store: 'sqlite::memory:' })
const working = forge.worker({ handlers: [resize] }).run()
const server = await serve({ forge, jobs: [resize], port: 0 })

const post = (body: object): Promise<Response> =>
  fetch(`${server.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

const accepted = await post({ type: 'resize', payload: { width: 400 } })
console.log(accepted.status) // 201

const ended = await fetch(`${server.url}${accepted.headers.get('location')}/wait`)
const { state, result } = (await ended.json()) as { state: string; result: unknown }
console.log(state, result) // completed { file: 'cat-400.jpg' }

const refused = await post({ type: 'resize', payload: { width: 'wide' } })
const { code, errors } = (await refused.json()) as { code: string; errors: { path: string }[] }
console.log(refused.status, code, errors[0]?.path) // 422 INVALID_INPUT payload.width

await server.stop()
await forge.close()
await working
