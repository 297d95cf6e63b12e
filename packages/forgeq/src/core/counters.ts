/** The counters that travel with a job from tree to tree. */
export interface Counters {
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  readonly settler: number
}
