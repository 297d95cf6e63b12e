// Stores jobs and hands them out in one transaction.
import type { Closed, Enqueued, ExchangeReply, ExchangeRequest } from '../store/records.ts'
import { exchange } from './exchange.ts'
import type { Turn } from './turn.ts'

interface Given {
  readonly answers: readonly Enqueued[]
  readonly reply: ExchangeReply | Closed
}

/** The exchange of a worker that waits, which finds what `enqueue` stores. */
export const enqueueFor = async (
  turn: Turn,
  request: ExchangeRequest,
  enqueue: () => Promise<readonly Enqueued[]>,
): Promise<Given> => {
  let answers: readonly Enqueued[] | undefined
  turn.fresh = []
  const reply = await exchange(turn, request, async () => {
    answers = await enqueue()
    // The claim may take out again what was put in.
    turn.seal()
  })
  if (!reply.closed && !reply.more && areClaimed(answers!, reply)) forgetHints(turn)
  return { answers: answers!, reply }
}

/** Whether all that was stored was handed out: then there is nothing to tell others. */
export const areClaimed = (answers: readonly Enqueued[], { claimed }: ExchangeReply): boolean => {
  const jobs = new Set(claimed.map(({ job }) => job))
  return answers.every(({ id }) => jobs.has(id))
}

const forgetHints = ({ hints }: Turn): void => {
  for (const topic of hints) if (topic.startsWith('ready:')) hints.delete(topic)
}
