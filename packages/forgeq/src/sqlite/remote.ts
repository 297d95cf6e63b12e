// The calling thread's side of the DB thread: calls out, answers and hints in. Holds the process open only while a call
// waits for its answer or someone listens.
import { Worker } from 'node:worker_threads'
import { ForgeError } from '../core/errors.ts'
import type { Migration, StoreInfo, Topic } from '../store/store.ts'
import type { HostOptions } from './host.ts'
import type { Method } from '../store/calling-store.ts'
import { receiveError, type Reply, type Request } from './wire.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** What a store needs of the one who runs its calls, in whichever thread that is. */
export interface Link {
  tell(): Promise<StoreInfo>
  call(method: Method, args: readonly unknown[]): Promise<unknown>
  migrate(mode: 'plan' | 'apply'): Promise<Migration>
  drift(): Promise<readonly string[]>
  listen(topics: readonly Topic[]): void
  unlisten(topics: readonly Topic[]): void
  /** Beats for a worker until `letGo`, from where a blocked event loop does not stop it. */
  keepAlive(worker: string, leaseMs: number): void
  letGo(worker: string): void
  close(): Promise<void>
}

export class Remote implements Link {
  readonly #thread: Worker
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #listened = 0

  private constructor(thread: Worker, hint: (topics: readonly Topic[]) => void) {
    this.#thread = thread
    thread.on('message', (reply: Reply) => this.#receive(reply, hint))
    thread.on('error', (error) => this.#lose(error))
    thread.on('exit', () => this.#lose(undefined))
    thread.unref()
  }

  /** Starts the thread and waits until the file is open; `lost` is called when it takes no more calls. */
  static open(
    options: HostOptions,
    checks: 'schema' | 'none',
    hint: (topics: readonly Topic[]) => void,
    lost: () => void,
  ): Promise<Remote> {
    const thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: { options, checks } })
    return new Promise((resolve, reject) => {
      const fail = (cause?: unknown): void =>
        reject(new ForgeError('STORE_UNAVAILABLE', 'the thread for the SQLite file did not start', { cause }))
      thread.once('error', fail)
      thread.once('exit', fail)
      thread.once('message', (reply: Reply) => {
        thread.off('error', fail)
        thread.off('exit', fail)
        if (reply.kind === 'open') {
          resolve(new Remote(thread, hint))
          thread.on('message', (next: Reply) => next.kind === 'gone' && lost())
          thread.once('exit', lost)
        } else if (reply.kind === 'failed') {
          reject(receiveError(reply.error))
        }
      })
    })
  }

  tell(): Promise<StoreInfo> {
    return this.#ask({ kind: 'tell', id: ++this.#lastId }) as Promise<StoreInfo>
  }

  call(method: Method, args: readonly unknown[]): Promise<unknown> {
    return this.#ask({ kind: 'call', id: ++this.#lastId, method, args })
  }

  migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    return this.#ask({ kind: 'migrate', id: ++this.#lastId, mode }) as Promise<Migration>
  }

  drift(): Promise<readonly string[]> {
    return this.#ask({ kind: 'drift', id: ++this.#lastId }) as Promise<readonly string[]>
  }

  listen(topics: readonly Topic[]): void {
    this.#listened += topics.length
    this.#holdOpen()
    this.#post({ kind: 'listen', topics })
  }

  unlisten(topics: readonly Topic[]): void {
    this.#listened -= topics.length
    this.#holdOpen()
    this.#post({ kind: 'unlisten', topics })
  }

  keepAlive(worker: string, leaseMs: number): void {
    this.#post({ kind: 'keepAlive', worker, leaseMs })
  }

  letGo(worker: string): void {
    this.#post({ kind: 'letGo', worker })
  }

  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()))
    await this.#ask({ kind: 'close', id: ++this.#lastId })
    this.#thread.ref()
    await gone
  }

  #ask(request: Request & { readonly id: number }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject })
      this.#holdOpen()
      this.#post(request)
    })
  }

  #post(request: Request): void {
    this.#thread.postMessage(request)
  }

  #receive(reply: Reply, hint: (topics: readonly Topic[]) => void): void {
    if (reply.kind === 'hints') hint(reply.topics)
    if (reply.kind !== 'answers') return
    for (const answer of reply.answers) {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(receiveError(answer.error))
      else waiting?.resolve(answer.value)
    }
    this.#holdOpen()
  }

  #holdOpen(): void {
    if (this.#waiting.size + this.#listened > 0) this.#thread.ref()
    else this.#thread.unref()
  }

  #lose(cause: unknown): void {
    for (const waiting of this.#waiting.values()) {
      waiting.reject(
        new ForgeError(
          'OUTCOME_UNKNOWN',
          'the thread that writes the SQLite file died before it answered; the call may be repeated',
          {
            cause,
          },
        ),
      )
    }
    this.#waiting.clear()
  }
}
