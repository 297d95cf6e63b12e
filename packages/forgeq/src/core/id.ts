// Job ids: UUIDv7 (RFC 9562), strictly increasing within a process. Clock and randomness are handed in.
import { ForgeError } from './errors.ts'

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const bytesPerId = 10
const idsPerDraw = 400

/**
 * A source of ids: `now()` in milliseconds, a 12-bit counter (RFC 9562 6.2, method 1) and 62 random bits. A full counter
 * carries into the time and a clock that goes back is not followed, so that the order always holds.
 */
export function idSource(now: () => number, random: (bytes: Uint8Array) => void): () => string {
  const pool = new Uint8Array(idsPerDraw * bytesPerId)
  let next = pool.length
  let lastAt = -1
  let counter = 0
  let head = ''

  return () => {
    if (next === pool.length) {
      random(pool)
      next = 0
    }
    const at = Math.floor(now())
    if (at > lastAt) {
      // Seeded below half, so that a millisecond has room for at least 2048 ids.
      counter = (pool[next]! << 3) | (pool[next + 1]! >> 5)
      lastAt = at
      head = timeText(at)
    } else if (++counter > 0xfff) {
      counter = 0
      lastAt++
      head = timeText(lastAt)
    }
    let id = `${head}${hex[0x70 | (counter >> 8)]}${hex[counter & 0xff]}-${hex[0x80 | (pool[next + 2]! & 0x3f)]}${hex[pool[next + 3]!]}-`
    for (let i = next + 4; i < next + bytesPerId; i++) id += hex[pool[i]!]
    next += bytesPerId
    return id
  }
}

function timeText(at: number): string {
  const digits = at.toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-`
}

/** Whether `text` is a UUIDv7 in lower case, the only form in which two equal ids are equal texts. */
export const isId = (text: string): boolean => shape.test(text)

/** Asserts a job id; INVALID_ID otherwise. */
export function checkId(id: unknown): asserts id is string {
  if (typeof id === 'string' && isId(id)) return
  const shown = typeof id === 'string' ? JSON.stringify(id.slice(0, 40)) : typeof id
  throw new ForgeError('INVALID_ID', `${shown} is not a job id: it must be a UUIDv7 in lower case, or left out`)
}

/** The time in an id, in epoch milliseconds. */
export const idTime = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
