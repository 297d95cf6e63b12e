// What the calling thread and the DB thread say to each other.
import { ForgeError, type ErrorCode } from '../core/errors.ts'
import type { StoreInfo, Topic } from '../store/store.ts'
import { explainFailure } from './failures.ts'
import type { Method } from './operations.ts'

export type Request =
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly kind: 'migrate'; readonly id: number; readonly mode: 'plan' | 'apply' }
  | { readonly kind: 'listen' | 'unlisten'; readonly topics: readonly Topic[] }
  | { readonly kind: 'close'; readonly id: number }

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError }

export type Reply =
  | { readonly kind: 'open'; readonly info: StoreInfo }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'answers'; readonly answers: readonly Answer[] }
  | { readonly kind: 'hints'; readonly topics: readonly Topic[] }

/** An error without its class, which structured cloning drops. */
export interface SentError {
  readonly code: ErrorCode
  readonly message: string
  readonly id?: string
  readonly stack?: string
}

export const sendError = (thrown: unknown): SentError => {
  const error = explainFailure(thrown)
  if (error instanceof ForgeError) {
    return { code: error.code, message: error.message, ...(error.id === undefined ? {} : { id: error.id }) }
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { code: 'INTERNAL', message, ...(stack === undefined ? {} : { stack }) }
}

export const receiveError = (sent: SentError): ForgeError => {
  const cause = sent.stack === undefined ? undefined : { stack: sent.stack }
  return new ForgeError(sent.code, sent.message, {
    ...(sent.id === undefined ? {} : { id: sent.id }),
    ...(cause === undefined ? {} : { cause }),
  })
}
