// The queues under test behind the same few verbs, so that every scenario is written once.
//
//   open(path) -> queue       on a file that may be new, or a database by its URL
//     add(payload)            one job; resolves when the library says it is stored
//     addMany(payloads)       many jobs in one call; absent when the library has no such call
//     work({ concurrency, handle, completed }) -> { stop }
//                             a worker; `handle` gets the payload, `completed` is called once a completion is stored
//     ready()                 absent when `open` makes the tables
//     close()
//   finish(path)              set-up, never measured: whatever is ready becomes finished
//
// `intervalMs` is how often it looks for jobs when idle, `isDefault` marks a library without any tuning beside its tuned
// self, `share` is the part of a scenario's jobs that a subject is given, so that the slow ones end in seconds too.
//
// Each is loaded where it is measured, and nothing else with it.
const sqlite = {
  forgeq: ['./forgeq.js', 'full'],
  'forgeq-relaxed': ['./forgeq.js', 'relaxed'],
  plainjob: ['./plainjob.js', 'tuned'],
  'plainjob-full': ['./plainjob.js', 'full'],
  'plainjob-default': ['./plainjob.js', 'default'],
  liteque: ['./liteque.js', 'tuned'],
  'liteque-readme': ['./liteque.js', 'readme'],
}

const postgres = {
  'forgeq-postgres': ['../postgres/subjects/forgeq.js'],
  graphile: ['../postgres/subjects/graphile-worker.js', 'tuned'],
  'graphile-default': ['../postgres/subjects/graphile-worker.js', 'default'],
  'pg-boss': ['../postgres/subjects/pg-boss.js', 'work'],
  'pg-boss-hand': ['../postgres/subjects/pg-boss.js', 'hand'],
}

const subjects = { ...sqlite, ...postgres }

export const sqliteSubjects = Object.keys(sqlite)
export const postgresSubjects = Object.keys(postgres)

export const subjectOf = async (id) => {
  if (subjects[id] === undefined) throw new Error(`no subject ${id}; there are ${Object.keys(subjects).join(', ')}`)
  const [library, variant] = subjects[id]
  const { subject } = await import(library)
  return { id, ...subject(variant) }
}
