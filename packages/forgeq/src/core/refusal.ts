// Why a job is not stored, in the words of the answer, and what follows where it does not stand alone.
import type { Enqueued, NewJob, Refusal } from '../store/records.ts'
import { caps } from './caps.ts'
import { ForgeError } from './errors.ts'
import { idTime, isId } from './id.ts'
import type { QueueLimits } from './limit.ts'

const refuse = (id: string, code: Refusal['code'], message: string): Enqueued => ({ id, refused: { code, message } })

/** An id is remembered for a while only: an older one could be of a job that is forgotten. `now`: store time. */
export const isTimely = (id: string, now: number): boolean => isId(id) && Math.abs(idTime(id) - now) <= caps.idDriftMs

export const untimely = (id: string): Enqueued =>
  refuse(id, 'INVALID_ID', `${id} is no UUIDv7 made within a day of the store's time; make a new id`)

export const idTaken = (id: string): Enqueued =>
  refuse(id, 'ID_CONFLICT', `job ${id} exists with another type or payload; make a new id for a new job`)

export const uniqueTaken = (id: string, holder: string): Enqueued => ({
  id,
  refused: {
    code: 'UNIQUE_CONFLICT',
    message: `job ${holder} holds the unique key: wait for it or cancel it`,
    holder,
  },
})

interface Entry {
  readonly isAccepting: boolean
  readonly limits: Pick<QueueLimits, 'maxDepth'>
}

/** Whether a queue takes every job that comes. */
export const takesAll = ({ isAccepting, limits }: Entry): boolean => isAccepting && limits.maxDepth === null

/** The refusal of a job by its queue, if it does not take it. `depth`: how many wait in a queue that has a `maxDepth`. */
export const shutOut = (
  id: string,
  queue: string,
  { isAccepting, limits }: Entry,
  depth: number,
): Enqueued | undefined => {
  if (!isAccepting) {
    const message = `queue ${queue} takes no new jobs; \`forgeq queues limit ${queue} --accepting\` opens it`
    return refuse(id, 'QUEUE_CLOSED', message)
  }
  const { maxDepth } = limits
  if (maxDepth === null || depth < maxDepth) return undefined
  return refuse(id, 'QUEUE_FULL', `queue ${queue} has ${maxDepth} jobs waiting, as many as it may; try again later`)
}

/** The answers of an atomic call, `undefined` when all its jobs are taken: one that is refused refuses all. */
export const batchRefused = (jobs: readonly NewJob[], answers: readonly Enqueued[]): Enqueued[] | undefined =>
  answers.some((answer) => 'refused' in answer)
    ? answers.map((answer, i) =>
        'refused' in answer
          ? answer
          : refuse(jobs[i]!.id, 'BATCH_REFUSED', 'not stored: another job of this call was refused'),
      )
    : undefined

/** Rolls an enqueue back and is answered with, not thrown at the caller. */
export class Refused extends Error {
  readonly answers: readonly Enqueued[]

  constructor(answers: readonly Enqueued[]) {
    super('refused')
    this.answers = answers
  }
}

/** A follow-up that is refused takes back the completion of `job`, which brings it: this try has failed. */
export const followUpRefused = (job: string, { code, message, holder }: Refusal): ForgeError =>
  new ForgeError(code === 'BATCH_REFUSED' ? 'INTERNAL' : code, `a follow-up of ${job} was refused: ${message}`, {
    id: job,
    ...(holder !== undefined && { holder }),
  })
