// How often the disk is told to write everything down, per job: counted by strace, so it holds on any machine.
import { drain } from './drain.js'
import { scenario as enqueueMany } from './enqueue-many.js'
import { scenario as enqueueOne } from './enqueue-one.js'

export const scenario = {
  id: 'syncs',
  title: 'fsyncs per job',
  figures: { syncs: 'fsync/job' },
  traced: true,
  once: true,
  cases: () => [
    { name: 'enqueue, one awaited', of: 'add', jobs: 500, whole: true },
    { name: 'enqueue, batches of 1,000', of: 'addMany', jobs: 20_000, whole: true, needs: 'addMany' },
    { name: 'claim + complete, concurrency 1', of: 'work', concurrency: 1, jobs: 500, ready: 500, whole: true },
    { name: 'claim + complete, concurrency 10', of: 'work', concurrency: 10, jobs: 2_000, ready: 2_000, whole: true },
    { name: 'claim + complete, concurrency 100', of: 'work', concurrency: 100, jobs: 5_000, ready: 5_000, whole: true },
  ],

  async measure(task) {
    if (task.of === 'add') await enqueueOne.measure(task)
    else if (task.of === 'addMany') await enqueueMany.measure(task)
    else await drain(task)
    return { jobs: task.jobs }
  },
}
