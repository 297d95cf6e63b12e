// A store whose calls a test can watch, hold up, lose or refuse.
import type { Store } from '#src/store/store.js'

export type Method = Exclude<keyof Store, 'listen'>
/** Stands between caller and store: calls `next` for the store's answer, or does not. */
export type Tap = (next: () => Promise<unknown>, args: readonly unknown[]) => Promise<unknown>

export class TappedStore {
  readonly store: Store
  readonly calls: { readonly method: Method; readonly args: readonly unknown[] }[] = []
  /** Listeners that are registered now. */
  listening = 0
  readonly #taps = new Map<Method, Tap>()

  constructor(real: Store) {
    this.store = new Proxy(real, {
      get: (target, name) => (name === 'listen' ? this.#listen(target) : this.#call(target, name as Method)),
    })
  }

  /** From now on `method` goes through `tap`; without one it is left alone again. */
  tap(method: Method, tap?: Tap): void {
    if (tap === undefined) this.#taps.delete(method)
    else this.#taps.set(method, tap)
  }

  count(method: Method): number {
    return this.calls.filter((call) => call.method === method).length
  }

  #call(target: Store, method: Method): (...args: unknown[]) => Promise<unknown> {
    return async (...args) => {
      this.calls.push({ method, args })
      const call = target[method] as (...given: unknown[]) => Promise<unknown>
      const next = (): Promise<unknown> => call.apply(target, args)
      return (this.#taps.get(method) ?? ((go) => go()))(next, args)
    }
  }

  #listen(target: Store): Store['listen'] {
    return (topics, fn) => {
      this.listening += 1
      const stop = target.listen(topics, fn)
      return () => {
        this.listening -= 1
        stop()
      }
    }
  }
}
