// The queues under test behind the same few verbs, so that every scenario is written once.
//
//   open(path) -> queue       on a file that may be new
//     add(payload)            one job; resolves when the library says it is stored
//     addMany(payloads)       many jobs in one call; absent when the library has no such call
//     work({ concurrency, handle, completed }) -> { stop }
//                             a worker; `handle` gets the payload, `completed` is called once a completion is stored
//     close()
//   finish(path)              set-up, never measured: whatever is ready becomes finished
//
// `intervalMs` is how often it looks for jobs when idle, `isDefault` marks a library without any tuning beside its tuned
// self, `share` is the part of a scenario's jobs that a subject is given, so that the slow ones end in seconds too.
import { forgeq } from './forgeq.js'
import { liteque } from './liteque.js'
import { plainjob } from './plainjob.js'

export const subjects = [
  forgeq('full'),
  forgeq('relaxed'),
  plainjob('tuned'),
  plainjob('full'),
  plainjob('default'),
  liteque('tuned'),
  liteque('readme'),
]

export const subjectOf = (id) => {
  const subject = subjects.find((one) => one.id === id)
  if (subject === undefined) throw new Error(`no subject ${id}; there are ${subjects.map((one) => one.id).join(', ')}`)
  return subject
}
