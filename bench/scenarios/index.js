// What is measured, in the order of the table.
//
//   cases(size) -> tasks      `size(full, quick)` picks a number; `ready` and `finished` jobs are in the file beforehand;
//                             `whole` tasks are not cut down for slow subjects
//   measure(task) -> figures  in a fresh process, on a fresh copy of the file
//   defaults                  whether subjects as they come out of the box are of interest
//   needs                     a verb the subject must have; `only`: the subjects it is about
//   floors                    what ForgeQ must reach: at least for rates, at most for times and costs
import { backlog } from './backlog.js'
import { enqueueConcurrent } from './enqueue-concurrent.js'
import { enqueueMany } from './enqueue-many.js'
import { enqueueOne } from './enqueue-one.js'
import { fileSize } from './file-size.js'
import { halfLoad } from './half-load.js'
import { idleCost } from './idle-cost.js'
import { idleLatency } from './idle-latency.js'
import { life } from './life.js'
import { processes } from './processes.js'
import { startUp } from './start-up.js'
import { syncs } from './syncs.js'
import { work } from './work.js'

export const scenarios = [
  enqueueOne,
  enqueueConcurrent,
  enqueueMany,
  work,
  life,
  idleLatency,
  halfLoad,
  backlog,
  processes,
  idleCost,
  startUp,
  fileSize,
  syncs,
]
