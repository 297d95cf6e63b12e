// What is compared. Loaded one by one: some need a newer Node than others.
export const subjects = {
  forgeq: () => import('./forgeq.js'),
  plainjob: () => import('./plainjob.js'),
  bullmq: () => import('./bullmq.js'),
  'pg-boss': () => import('./pg-boss.js'),
  'graphile-worker': () => import('./graphile-worker.js'),
}
