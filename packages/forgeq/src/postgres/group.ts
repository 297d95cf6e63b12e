// Statements that go over a connection of `pg` as one message with one Sync, as a query class of our own: one write, and one
// flush of the server for all of them. The driver's own pipeline ends each with a Sync and asks each time what its columns
// are, for several times the CPU.
import type { Result } from './client.ts'
import { isStale } from './failures.ts'

/** What `pg` lets a query class do with a connection. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void }
  close(message: { readonly type: 'S'; readonly name: string }): void
  parse(message: { readonly text: string; readonly name: string }): void
  bind(message: { readonly statement: string; readonly values: readonly (string | null)[] }): void
  describe(message: { readonly type: 'P'; readonly name: string }): void
  execute(message: object): void
  sync(): void
}

/** A query class of the driver, as pg-cursor and pg-query-stream are; it calls them with what the server says. */
export interface Submittable {
  /** In milliseconds. The driver's own, of which it tells `callback`; it takes that to be called at the end, too. */
  readonly query_timeout: number
  callback(error?: Error): void
  submit(wire: Wire): Error | null
  handleRowDescription(message: { readonly fields: readonly Field[] }): void
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void
  handleCommandComplete(message: { readonly text: string }): void
  handleReadyForQuery(): void
  handleError(error: unknown): void
}

interface Field {
  readonly name: string
  readonly dataTypeID: number
  readonly format: string
}

interface Column {
  readonly name: string
  readonly parse: (text: string) => unknown
}

/** What a connection has prepared. */
export interface Prepared {
  /** Columns by the names of statements. */
  readonly columns: Map<string, readonly Column[]>
  /** A failure left open whether they are prepared. */
  readonly unsure: Set<string>
  readonly parserOf: (type: number, format: string) => (text: string) => unknown
}

export interface Asked {
  readonly text: string
  /** Empty: it is not prepared. */
  readonly name: string
  readonly values: readonly (string | null)[]
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

type Answer = { readonly result: Result } | { readonly error: unknown }

export interface GroupOptions {
  readonly prepared: Prepared
  /** The connection is free again. */
  readonly ended: () => void
  /** It did not answer. */
  readonly isLate: () => void
}

export class Group implements Submittable {
  query_timeout = 0
  readonly #prepared: Prepared
  readonly #ended: () => void
  readonly #isLate: () => void
  readonly #asked: Asked[] = []
  readonly #answers: Answer[] = []
  #columns: readonly Column[] | undefined
  #rows: Record<string, unknown>[] = []
  /** A value that could not be read. */
  #unreadable: unknown
  #isCommitted = false
  #isOver = false

  constructor({ prepared, ended, isLate }: GroupOptions) {
    this.#prepared = prepared
    this.#ended = ended
    this.#isLate = isLate
  }

  add(asked: Asked, timeoutMs: number): void {
    this.#asked.push(asked)
    this.query_timeout = Math.max(this.query_timeout, timeoutMs)
  }

  /** The driver replaces it by one that stops its timer. */
  callback = (error?: Error): void => {
    if (error !== undefined) this.#isLate()
  }

  submit(wire: Wire): null {
    const { columns, unsure } = this.#prepared
    const parsed = new Set<string>()
    wire.stream.cork()
    try {
      for (const { text, name, values } of this.#asked) {
        const isKnown = name !== '' && columns.has(name)
        if (!isKnown && !parsed.has(name)) {
          if (unsure.delete(name)) wire.close({ type: 'S', name })
          wire.parse({ text, name })
          if (name !== '') parsed.add(name)
        }
        wire.bind({ statement: name, values })
        if (!isKnown) wire.describe({ type: 'P', name: '' })
        wire.execute({})
      }
      wire.sync()
    } finally {
      wire.stream.uncork()
    }
    return null
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    const { parserOf } = this.#prepared
    this.#columns = fields.map(({ name, dataTypeID, format }) => ({ name, parse: parserOf(dataTypeID, format) }))
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.#columns ??= this.#prepared.columns.get(this.#current.name)!
    const row: Record<string, unknown> = {}
    try {
      for (let i = 0; i < fields.length; i++) {
        const { name, parse } = this.#columns[i]!
        const text = fields[i]!
        row[name] = text === null ? null : parse(text)
      }
    } catch (error) {
      this.#unreadable ??= error
    }
    this.#rows.push(row)
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const { name } = this.#current
    if (name !== '') this.#prepared.columns.set(name, this.#columns ?? this.#prepared.columns.get(name) ?? [])
    const count = /\d+$/.exec(text)
    const result = { rows: this.#rows, rowCount: count === null ? null : Number(count[0]) }
    this.#answers.push(this.#unreadable === undefined ? { result } : { error: this.#unreadable })
    if (text === 'COMMIT') this.#isCommitted = true
    this.#rows = []
    this.#columns = undefined
    this.#unreadable = undefined
  }

  handleReadyForQuery(): void {
    for (const [i, asked] of this.#asked.entries()) tell(asked, this.#answers[i]!)
    this.#end()
  }

  /**
   * The server skips what follows a statement that failed. What fails behind the last of them is the commit of what had no
   * begin; or the connection, when the server goes away as soon as it has committed: which of them it does not say.
   */
  handleError(error: unknown): void {
    const { columns, unsure } = this.#prepared
    const failedAt = this.#answers.length
    const isBehind = failedAt === this.#asked.length
    const failure = isBehind ? behind(error) : error
    if (isStale(error) && !isBehind) columns.delete(this.#current.name)
    for (const [i, asked] of this.#asked.entries()) {
      if (i < failedAt && (!isBehind || this.#isCommitted)) tell(asked, this.#answers[i]!)
      else asked.reject(failure)
      if (i >= failedAt && asked.name !== '' && !columns.has(asked.name)) unsure.add(asked.name)
    }
    this.#end()
  }

  /** One that came too late fails once more with its connection. */
  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.callback()
    this.#ended()
  }

  get #current(): Asked {
    return this.#asked[this.#answers.length]!
  }
}

/** A failure that may have come behind a commit: it is no answer to what was asked (failures.ts). */
const behind = (error: unknown): Error => {
  const { message, code } = error as { message: string; code?: unknown }
  return Object.assign(new Error(message, { cause: error }), { code })
}

const tell = ({ resolve, reject }: Asked, answer: Answer): void => {
  if ('result' in answer) resolve(answer.result)
  else reject(answer.error)
}
