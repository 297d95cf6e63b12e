// Connections as the rest of the store sees them.

export type Value = string | number | boolean | null | readonly Value[]

export interface Query {
  readonly text: string
  /** Without them it is a text of any number of statements. */
  readonly values?: readonly Value[]
  /** Under this name a connection prepares the statement once. */
  readonly name?: string
  /** Until its connection is broken off, in milliseconds. Default: 20 s. */
  readonly timeoutMs?: number
}

export interface Result {
  readonly rows: readonly unknown[]
  readonly rowCount: number | null
}

/** Sends one statement that is a transaction of its own; `undefined` when it failed, for whatever reason. */
export type Ask = (sql: string, ...values: Value[]) => Promise<Result | undefined>

/**
 * What ForgeQ uses of a connection. What is asked before the last answer came goes out together, and is answered in order:
 * outside of a transaction only one statement at a time, for all of it would be one.
 */
export interface Client {
  query(query: Query | string): Promise<Result>
}

/** One connection, as the driver has it. */
export interface Connection {
  /** Of the server's process at its other end, as it said when the connection was made. */
  readonly processID: number | null
  readonly connection: { readonly stream: { destroy(error: Error): void } }
}

export interface Pooled extends Connection, Client {
  /** With an error: the connection is not used again. */
  release(error?: Error): void
}

export interface Pool extends Client {
  connect(): Promise<Pooled>
  /** Also where the other end does not notice. */
  end(): Promise<void>
}

export interface Listener extends Connection, Client {
  connect(): Promise<void>
  end(): Promise<void>
  on(event: 'notification', fn: (message: { readonly payload?: string }) => void): void
  on(event: 'error' | 'end', fn: (error?: Error) => void): void
}

/** What was sent cannot be taken back, and what waits behind it waits for ever: the connection goes, and all of it fails. */
export const breakOff = ({ connection }: Pick<Connection, 'connection'>): void => {
  connection.stream.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
}
