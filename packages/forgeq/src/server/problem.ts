// An error as an answer: RFC 9457 problem details. Nothing but a ForgeError tells the client what went wrong inside.
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { errorCodes, ForgeError } from '../core/errors.ts'

export interface Answer {
  readonly status: ContentfulStatusCode
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Seconds after which another try is worth it; what will not pass by itself needs a person first. */
const retrySoonS = 1
const retryLaterS = 30

/** The answer to a request that failed with `error`. */
export function problem(error: unknown, requestId: string): Answer {
  const { code, message, id, holder, problems = [] } = ForgeError.is(error) ? error : hidden(requestId)
  const { status, retryable } = errorCodes[code]
  const words = code.toLowerCase().replaceAll('_', ' ')
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' }
  if (status === 503 || status === 429) headers['Retry-After'] = String(retryable ? retrySoonS : retryLaterS)
  return {
    status,
    headers,
    body: JSON.stringify({
      type: `urn:forgeq:problem:${words.replaceAll(' ', '-')}`,
      title: words.charAt(0).toUpperCase() + words.slice(1),
      status,
      detail: message,
      code,
      errors: problems,
      requestId,
      retryable,
      id,
      holder,
    }),
  }
}

const hidden = (requestId: string): ForgeError =>
  new ForgeError('INTERNAL', `the server failed in a way it did not expect; its log has more on request ${requestId}`)
