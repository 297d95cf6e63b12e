// What the calling thread and the DB thread say to each other.
import { ForgeError } from '../core/errors.ts'
import type { Topic } from '../store/store.ts'
import { explainFailure } from './failures.ts'
import type { Method } from '../store/calling-store.ts'

export type Request =
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly kind: 'tell' | 'close'; readonly id: number }
  | { readonly kind: 'drift'; readonly id: number }
  | { readonly kind: 'migrate'; readonly id: number; readonly mode: 'plan' | 'apply' }
  | { readonly kind: 'listen' | 'unlisten'; readonly topics: readonly Topic[] }
  | { readonly kind: 'keepAlive'; readonly worker: string; readonly leaseMs: number }
  | { readonly kind: 'letGo'; readonly worker: string }

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError }

export type Reply =
  | { readonly kind: 'open' | 'gone' }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'answers'; readonly answers: readonly Answer[] }
  | { readonly kind: 'hints'; readonly topics: readonly Topic[] }

/** An error without its class, which structured cloning drops. */
export type SentError = Pick<ForgeError, 'code' | 'message' | 'id' | 'problems' | 'holder' | 'stack'>

export const sendError = (thrown: unknown): SentError => {
  const error = explainFailure(thrown)
  if (error instanceof ForgeError) {
    const { code, message, id, problems, holder } = error
    return { code, message, ...given({ id, problems, holder }) }
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { code: 'INTERNAL', message, ...given({ stack }) }
}

export const receiveError = ({ code, message, stack, ...facts }: SentError): ForgeError =>
  new ForgeError(
    code,
    message,
    stack === undefined ? facts : { ...facts, cause: Object.assign(new Error(message), { stack }) },
  )

const given = <T extends object>(facts: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as never
