// What the claims on record say of limits: how many were held at a time, and how close together they started.
import type { AttemptRecord } from '#src/store/records.js'

type Claim = Pick<AttemptRecord, 'startedAt' | 'endedAt'>

/** How many claims were held at a time, at most. What ends at an instant does not count in it. */
export function mostAtOnce(claims: readonly Claim[]): number {
  const steps = claims.flatMap(({ startedAt, endedAt }) => [
    [startedAt, 1],
    [endedAt, -1],
  ]) as [number, number][]
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  let [now, most] = [0, 0]
  for (const [, change] of steps) most = Math.max(most, (now += change))
  return most
}

/** The shortest time in which `n + 1` claims started. */
export function shortestWindow(claims: readonly Claim[], n: number): number {
  const starts = claims.map(({ startedAt }) => startedAt).sort((a, b) => a - b)
  return Math.min(...starts.slice(n).map((at, i) => at - starts[i]!))
}
