// One connection: gathers what is asked without waiting in between, and sends it together, a group at a time.
import { breakOff, type Connection, type Query, type Result } from './client.ts'
import { isAnswer } from './failures.ts'
import { Group, type Prepared, type Submittable } from './group.ts'
import { textOf } from './text.ts'

/** A connection as the driver has it. */
export interface DriverClient extends Connection {
  query(query: Submittable): void
  query(script: { readonly text: string; readonly query_timeout: number }): Promise<Result>
}

export class Pipe {
  readonly #client: DriverClient
  readonly #prepared: Prepared
  readonly #waiting: (Group | (() => void))[] = []
  #isBusy = false
  #isDue = false

  constructor(client: DriverClient, parserOf: Prepared['parserOf']) {
    this.#client = client
    this.#prepared = { columns: new Map(), unsure: new Set(), parserOf }
  }

  /** Without an answer in time the connection is broken off. */
  query(query: Query | string, timeoutMs: number): Promise<Result> {
    const { text, name = '', values }: Query = typeof query === 'string' ? { text: query } : query
    const asked = values === undefined ? this.#script(text, timeoutMs) : this.#join(name, text, values, timeoutMs)
    if (!this.#isDue && !this.#isBusy) this.#sendSoon()
    return asked
  }

  /** A text of any number of statements. */
  #script(text: string, timeoutMs: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        const ended = (end: () => void): void => {
          end()
          this.#ended()
        }
        this.#client.query({ text, query_timeout: timeoutMs }).then(
          (result) => ended(() => resolve(result)),
          (error: unknown) => {
            // Whatever it still says would be taken for the answer to the next one.
            if (!isAnswer(error)) breakOff(this.#client)
            ended(() => reject(error))
          },
        )
      })
    })
  }

  #join(name: string, text: string, values: NonNullable<Query['values']>, timeoutMs: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      const last = this.#waiting.at(-1)
      const group = last instanceof Group ? last : this.#newGroup()
      group.add({ text, name, values: values.map(textOf), resolve, reject }, timeoutMs)
    })
  }

  #newGroup(): Group {
    const isLate = (): void => breakOff(this.#client)
    const group = new Group({ prepared: this.#prepared, ended: () => this.#ended(), isLate })
    this.#waiting.push(group)
    return group
  }

  /** As soon as nothing that goes on now asks for more: after all that promises that are kept set off. */
  #sendSoon(): void {
    this.#isDue = true
    queueMicrotask(() =>
      process.nextTick(() => {
        this.#isDue = false
        this.#send()
      }),
    )
  }

  #send(): void {
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#isBusy = true
    if (next instanceof Group) this.#client.query(next)
    else next()
  }

  #ended(): void {
    this.#isBusy = false
    this.#send()
  }
}
