// Runs the engine in the calling thread: for tests, which read synchronously and move time by hand.
import type { Migration, StoreInfo, Topic } from '../store/store.ts'
import { Host, type HostOptions } from './host.ts'
import type { Method } from '../store/calling-store.ts'
import type { Link } from './remote.ts'

export class Inline implements Link {
  readonly #host: Host

  constructor(options: HostOptions, checks: 'schema' | 'none', hint: (topics: readonly Topic[]) => void) {
    // Hints come after the call that caused them has been answered, as they do from a thread.
    const later = (topics: readonly Topic[]): void => queueMicrotask(() => hint(topics))
    this.#host = new Host(options, checks, { hint: later, gone: () => {}, send: () => {} })
  }

  tell(): Promise<StoreInfo> {
    return Promise.resolve(this.#host.tell())
  }

  call(method: Method, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => this.#host.runNow({ method, args, resolve, reject }))
  }

  callNow(method: Method, args: readonly unknown[]): unknown {
    let answer: { readonly value: unknown } | { readonly error: unknown } | undefined
    this.#host.runNow({
      method,
      args,
      resolve: (value) => (answer = { value }),
      reject: (error) => (answer = { error }),
    })
    if (answer === undefined || 'error' in answer) throw answer?.error
    return answer.value
  }

  migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    return Promise.resolve(this.#host.migrate(mode))
  }

  drift(): Promise<readonly string[]> {
    return Promise.resolve(this.#host.drift())
  }

  listen(topics: readonly Topic[]): void {
    this.#host.listen(topics)
  }

  unlisten(topics: readonly Topic[]): void {
    this.#host.unlisten(topics)
  }

  keepAlive(worker: string, leaseMs: number): void {
    this.#host.keepAlive(worker, leaseMs)
  }

  letGo(worker: string): void {
    this.#host.letGo(worker)
  }

  close(): Promise<void> {
    this.#host.close()
    return Promise.resolve()
  }
}
