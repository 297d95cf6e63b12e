// From the start of a process to the start of the handler of a job that was waiting for it, Node's own start included.
import { now, partner } from './partner.js'

export const scenario = {
  id: 'start-up',
  title: 'process started -> first handler started',
  figures: { first: 'ms' },
  cases: () => [{ ready: 1, whole: true }],

  async measure({ subject, path }) {
    const startedAt = now()
    let heard
    const first = new Promise((resolve) => (heard = resolve))
    const worker = await partner('worker', { subject: subject.id, path, concurrency: 10 }, ({ at }) => heard(at))
    const figures = { first: (await first) - startedAt }
    await worker.stop()
    return figures
  },
}
