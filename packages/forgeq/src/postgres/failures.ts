// The one list of PostgreSQL's errors and those of the way to it: which are passing, and what to tell people.
import { ForgeError } from '../core/errors.ts'

/** By SQLSTATE, or by its class where all of that class mean the same. */
const reasons: Readonly<Record<string, string>> = {
  '08': 'the connection broke, or could not be made',
  '25006': 'it is read-only, as a standby is; each call connects anew until it reaches one that can be written to',
  '25P03': 'a transaction of this process stood still for too long; is its event loop blocked?',
  '40': 'it stood in the way of others too often; the call may be repeated',
  '53': 'it has no resources left; its log says of what',
  '53100': 'its disk is full; make room, nothing was stored',
  '53200': 'it has no memory left; nothing was stored',
  '53300':
    'it takes no more connections: raise max_connections or the limit of the user, use fewer processes, or a pooler',
  '53400': 'a limit of its configuration is reached; its log says which',
  '57014':
    'a statement took longer than it may, or somebody cancelled it; is it overloaded, does somebody keep a lock?',
  '57P': 'it is starting or stopping',
  '55P03':
    'a lock was not to be had in time: an open transaction holds the unique key, or what else is asked for; `forgeq status` names those that are open for long',
  '58': 'the server reports an input/output error',
  '28': 'it refuses the user or the password; check the URL',
  '3D000': 'the database of the URL does not exist; create it',
  ECONNREFUSED: 'nothing listens there; is it running, and is the URL right?',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ETIMEDOUT: 'it did not answer in time; is it overloaded, or its network cut?',
  ENOTFOUND: 'its host is not known; is the URL right?',
  EAI_AGAIN: 'its host is not known right now; is there a network?',
  EHOSTUNREACH: 'its host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  EMFILE: 'this process has no file descriptors left; raise its limit (ulimit -n), or find who keeps them open',
  ENFILE: 'this machine has no file descriptors left; find who keeps them open',
  ENOENT: 'nothing listens at its socket; is it running, and is the URL right?',
}

const codeOf = (error: unknown): string | undefined => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

const reasonOf = (error: unknown): string | undefined => {
  const code = codeOf(error)
  if (code !== undefined) return reasons[code] ?? reasons[code.slice(0, 3)] ?? reasons[code.slice(0, 2)]
  // The driver gives these no code.
  return error instanceof Error &&
    /^(Connection terminated|Query read timeout|timeout e|Client was closed|Client has enc)/.test(error.message)
    ? 'the connection broke, or it did not answer in time'
    : undefined
}

/**
 * The server itself says so, so it has got everything up to there and nothing of what follows. A pooler speaks of connections
 * (08), and what it has passed on may still be done.
 */
export const isAnswer = (error: unknown): boolean =>
  typeof (error as { severity?: unknown }).severity === 'string' && codeOf(error)?.startsWith('08') !== true

/** A statement was cancelled, by its time or by somebody: the transaction may succeed when it is tried again. */
export const isCancelled = (error: unknown): boolean => codeOf(error) === '57014'

/** A lock was waited for as long as it may be. */
export const isLate = (error: unknown): boolean => codeOf(error) === '55P03'

/** The server, its limit for the user, or this process with its file descriptors has no room for another connection. */
export const hasNoRoom = (error: unknown): boolean => ['53300', 'EMFILE', 'ENFILE'].includes(codeOf(error) ?? '')

/** A pooler that does not pass on what a session is told at its start. */
export const isRefusedSetting = (error: unknown): boolean =>
  codeOf(error) === '08P01' && /startup parameter/.test((error as Error).message)

/** A prepared statement whose columns are others by now, or that is not there any more. */
export const isStale = (error: unknown): boolean =>
  codeOf(error) === '26000' || (error as { routine?: unknown }).routine === 'RevalidateCachedQuery'

/**
 * The server rolled back what was done because of others: the same transaction may succeed at once, and finds what they have
 * stored (23505: a job of the same id), or have made of the tables.
 */
export const isCollision = (error: unknown): boolean =>
  ['40001', '40P01', '55P03', '23505'].includes(codeOf(error) ?? '') || isStale(error)

/** Whatever a server says that lets nobody in may change. */
export const explainRefusal = (error: unknown): unknown =>
  reasonOf(error) === undefined && isAnswer(error) && !isDenied(error)
    ? new ForgeError('STORE_UNAVAILABLE', `PostgreSQL: ${(error as Error).message}`, { cause: error })
    : error

const isDenied = (error: unknown): boolean => codeOf(error) === '42501'

/** A schema, a table, a column or a function that is not there. */
const isMissing = (error: unknown): boolean => ['3F000', '42P01', '42703', '42883'].includes(codeOf(error) ?? '')

/** A driver's error as STORE_UNAVAILABLE with the next step; what is ours as it is. */
export const explainFailure = (error: unknown): unknown => {
  if (ForgeError.is(error)) return error
  const { message } = error as Error
  if (isDenied(error)) {
    const grants = 'GRANT what docs/postgres.md lists under Roles, or let somebody with CREATE on the database migrate'
    return new ForgeError('STORE_UNAVAILABLE', `PostgreSQL: ${message}; ${grants}`, { cause: error })
  }
  if (isMissing(error)) {
    const advice = 'the schema was dropped or changed; `forgeq migrate --plan` tells how it differs'
    return new ForgeError('MIGRATION_NEEDED', `PostgreSQL: ${message}; ${advice}`, { cause: error })
  }
  const reason = reasonOf(error)
  if (reason !== undefined) return new ForgeError('STORE_UNAVAILABLE', `PostgreSQL: ${reason}`, { cause: error })
  return codeOf(error) === undefined
    ? error
    : new ForgeError('INTERNAL', `PostgreSQL: ${(error as Error).message}`, { cause: error })
}

/** The commit was sent and its answer did not come. */
export const explainLostCommit = (error: unknown): unknown =>
  reasonOf(error) === undefined
    ? explainFailure(error)
    : new ForgeError('OUTCOME_UNKNOWN', 'PostgreSQL: the commit was not answered; the same call may be repeated', {
        cause: error,
      })
