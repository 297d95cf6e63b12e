// Instants for people: how long ago, how long until.
import { formatMs } from '../core/duration.ts'

/** `3s ago`, `in 10m`, `now`; `''` for no instant. */
export function when(at: Date | number | null | undefined, now: number): string {
  if (at === null || at === undefined) return ''
  const ms = Number(at) - now
  if (Math.abs(ms) < 1000) return 'now'
  return ms < 0 ? `${coarse(-ms)} ago` : `in ${coarse(ms)}`
}

/** `''` for no duration. */
export const lasting = (ms: number | undefined): string => (ms === undefined ? '' : formatMs(Math.max(0, ms)))

/** Seconds are enough when it is long enough to have them. */
const coarse = (ms: number): string => formatMs(Math.floor(ms / 1000) * 1000)
