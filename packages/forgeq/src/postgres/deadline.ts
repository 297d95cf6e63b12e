// Until when a call may take: whatever it waits for then, it fails, and what it was at is broken off.
import { ForgeError } from '../core/errors.ts'
import { breakOff, type Connection } from './client.ts'

export class Deadline {
  readonly #endsAt: number

  constructor(withinMs: number) {
    this.#endsAt = performance.now() + withinMs
  }

  get leftMs(): number {
    return Math.max(0, this.#endsAt - performance.now())
  }

  /** STORE_UNAVAILABLE when it is over first. What `promise` still comes to goes to `late`. */
  async wait<T>(promise: Promise<T>, late?: (value: T) => void): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    let isLate = false
    const over = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true
        reject(noAnswer())
      }, this.leftMs)
    })
    promise.then(
      (value) => isLate && late?.(value),
      () => undefined,
    )
    try {
      return await Promise.race([promise, over])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Breaks a connection when it is over, unless what this returns was called before. */
  watch(connection: Connection): () => void {
    const timer = setTimeout(() => breakOff(connection), this.leftMs)
    return () => clearTimeout(timer)
  }
}

const noAnswer = (): ForgeError =>
  new ForgeError('STORE_UNAVAILABLE', 'PostgreSQL: it did not answer in time; is it overloaded, or its network cut?')
