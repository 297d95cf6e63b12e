// What a fresh process does for one measurement: the cost of a feature per job, a queue full of closed keys, turns between
// keys, and how much of a rate is used.
import { enqueue, job, open, timed, work } from './forge.js'
import { features } from './features.js'

const perJob = async (forge, jobs, options) => {
  const stored = await timed(() => enqueue(forge, jobs, options))
  const worked = await timed(() => work(forge, jobs))
  await worked.answer()
  return { enqueueUs: stored.us / jobs, workUs: worked.us / jobs, cpuUs: (stored.cpuUs + worked.cpuUs) / jobs }
}

const closed = { perKey: { rate: { max: 1, per: '1d' } } }
const opened = { perKey: { concurrency: 1 } }

/** What workers do while they work, here alone: looks at every key whose limits have changed. */
const lookAtAll = async (store) => {
  for (;;) {
    const { nextDueAt } = await store.promote(1_000)
    if (nextDueAt === null || nextDueAt > (await store.open()).now) return
  }
}

export const tasks = {
  async feature({ path, feature, jobs }) {
    const { limits = {}, options } = features.find(({ id }) => id === feature) ?? {}
    const forge = open(path)
    // Makes and opens the file, of a plain queue, too: what is compared begins after that.
    await forge.admin.limit('default', limits)
    const figures = await perJob(forge, jobs, options)
    await forge.close()
    return figures
  },

  /** Every key has used up its rate, and as many jobs as are wanted wait. */
  async fill({ path, keys, waiting }) {
    const forge = open(path, 'relaxed')
    await forge.admin.limit('default', closed)
    await enqueue(forge, keys + waiting, (n) => ({ key: `key-${n % keys}` }))
    const stop = await work(forge, keys, { slots: 1_000 })
    await stop()
    await forge.close()
    return {}
  },

  async beside({ path, jobs }) {
    const forge = open(path)
    await forge.ready()
    const figures = await perJob(forge, jobs)
    await forge.close()
    return figures
  },

  /** All keys are opened, for one job at a time each: every end lets the next one of its key go. */
  async through({ path, jobs, keys }) {
    const forge = open(path)
    await forge.admin.limit('default', opened)
    const review = await timed(() => lookAtAll(forge.store))
    const { us, cpuUs, answer: stop } = await timed(() => work(forge, jobs))
    await stop()
    await forge.close()
    return { workUs: us / jobs, cpuUs: cpuUs / jobs, reviewUs: review.us / keys }
  },

  /** The place of the last of the few in the order of starts. */
  async turns({ path, many, few }) {
    const forge = open(path)
    await enqueue(forge, many, () => ({ key: 'many' }))
    await enqueue(forge, few, () => ({ key: 'few' }), many)
    let starts = 0
    let [left, lastAt] = [few, 0]
    const started = ({ n }) => {
      starts += 1
      if (n < many) return
      left -= 1
      if (left === 0) lastAt = starts
    }
    const stop = await work(forge, 2 * few + 100, { started, slots: 1 })
    await stop()
    await forge.close()
    return { claims: lastAt }
  },

  /** The least time that so many starts could take under the rate, beside what they took, while more wait all the time. */
  async rate({ path, max, perMs, windows }) {
    const forge = open(path)
    await forge.admin.limit('default', { rate: { max, per: perMs } })
    await enqueue(forge, max * (windows + 2))
    await work(forge, max * windows)
    const starts = []
    let cursor
    do {
      const page = await forge.admin.jobs({ state: 'completed', type: job.name }, { limit: 1_000, cursor })
      starts.push(...page.jobs.map(({ startedAt }) => startedAt.getTime()))
      cursor = page.cursor
    } while (cursor !== undefined)
    const ordered = starts.sort((a, b) => a - b)
    await forge.close()
    const tookMs = ordered[max * windows - 1] - ordered[0]
    return { used: (100 * (windows - 1) * perMs) / tookMs }
  },
}
