// What someone who writes a store, or opens one without a forge, needs.
export { ManualClock } from './clock.ts'
export { openStore } from './open.ts'
export type { ImagePage, Images, JobImage, Loaded, Place, Trace } from './moved.ts'
export type * from './queue-record.ts'
export type * from './records.ts'
export type * from './worker-record.ts'
export { batchLimit } from './store.ts'
export type { Capability, Migration, Store, StoreInfo, Topic } from './store.ts'
