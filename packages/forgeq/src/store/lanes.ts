// Lanes: the order in which a queue is claimed. Ten levels, and in each of them those that come first.
export const unparkedLane = 0
export const frontLane = 1
export const freshLane = 2

export const laneOf = (priority: number, kind: number): number => priority * 4 + kind

export const levelOf = (lane: number): number => Math.floor(lane / 4)

export const kindOf = (lane: number): number => lane % 4

/** A part of a queue's lanes. */
export interface Lanes {
  readonly from: number
  /** The last one. */
  readonly to: number
}

export const levels = (first: number, last: number): Lanes => ({ from: laneOf(first, 0), to: laneOf(last, 3) })

export const lastLevel = 9
