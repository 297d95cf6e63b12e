// A fresh process for one step: fills a file or a database, or measures one task of one scenario with one subject.
import { subjectOf } from './subjects/index.js'
import { payloads } from './subjects/payload.js'

const { step, scenarios, scenario: scenarioId, subject: id, task, path } = JSON.parse(process.argv[2])
const subject = await subjectOf(id)

const batch = 10_000

const fill = async (count) => {
  const queue = await subject.open(path)
  await queue.ready?.()
  for (let first = 0; first < count; first += batch) {
    const some = payloads(Math.min(batch, count - first), first)
    if (queue.addMany !== undefined) await queue.addMany(some)
    else for (const one of some) await queue.add(one)
  }
  await queue.close()
}

const steps = {
  async fill() {
    const { ready = 0, finished = 0 } = task
    if (finished > 0) {
      await fill(finished)
      await subject.finish(path)
    }
    await fill(ready)
  },
  async measure() {
    const { scenarioOf } = await import(scenarios)
    const scenario = await scenarioOf(scenarioId)
    return scenario.measure({ ...task, subject, path })
  },
}

const answer = await steps[step]()
// A subject may leave timers behind; the answer must be out before the end.
process.send(answer ?? {}, () => process.exit())
