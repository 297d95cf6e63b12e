import { defineJob, ForgeQ, typed } from 'forgeq'
import { file } from '../servers.js'

const job = defineJob('stall', { input: typed() }, async ({ signal }) => handle(signal))
let handle

const forgeOn = (path) => new ForgeQ({ store: `sqlite:${path}` })

export const subject = {
  settings: 'defaults: lease 15 s',
  serve: file,
  async work(path, fn) {
    handle = fn
    await forgeOn(path)
      .worker({ handlers: [job], signals: false })
      .run()
  },
  async enqueue(path) {
    const forge = forgeOn(path)
    const { id } = await forge.enqueue(job, {})
    return {
      async look() {
        const shown = await forge.admin.job(id, ['attempts'])
        const past = shown.attempts.map(({ outcome }) => outcome).join(', ')
        return `${shown.state}, result ${JSON.stringify(shown.result)}, tries: ${past || 'none ended'}`
      },
      close: () => forge.close(),
    }
  },
}
