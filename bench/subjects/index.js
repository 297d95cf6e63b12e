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
//
// Each is loaded where it is measured, and nothing else with it.
const subjects = {
  forgeq: ['forgeq', 'full'],
  'forgeq-relaxed': ['forgeq', 'relaxed'],
  plainjob: ['plainjob', 'tuned'],
  'plainjob-full': ['plainjob', 'full'],
  'plainjob-default': ['plainjob', 'default'],
  liteque: ['liteque', 'tuned'],
  'liteque-readme': ['liteque', 'readme'],
}

export const subjectIds = Object.keys(subjects)

export const subjectOf = async (id) => {
  if (subjects[id] === undefined) throw new Error(`no subject ${id}; there are ${subjectIds.join(', ')}`)
  const [library, variant] = subjects[id]
  const { subject } = await import(`./${library}.js`)
  return { id, ...subject(variant) }
}
