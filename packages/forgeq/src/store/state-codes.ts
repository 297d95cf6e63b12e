// The states of a job as the numbers that stores write. They never change.
import type { State } from '../core/states.ts'

export const stateCodes = {
  scheduled: 0,
  blocked: 1,
  ready: 2,
  running: 3,
  completed: 4,
  dead: 5,
  cancelled: 6,
} as const

const stateNames = Object.fromEntries(Object.entries(stateCodes).map(([name, code]) => [code, name])) as Record<
  number,
  State
>

export const stateName = (code: number): State => stateNames[code]!
