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
  if (!reply.closed && !reply.more) forgetHints(turn, answers!, new Set(reply.claimed.map(({ job }) => job)))
  return { answers: answers!, reply }
}

/** When all that was stored was handed out there is nothing to tell others. */
const forgetHints = (turn: Turn, answers: readonly Enqueued[], claimed: ReadonlySet<string>): void => {
  if (!answers.every(({ id }) => claimed.has(id))) return
  for (const topic of turn.hints) if (topic.startsWith('ready:')) turn.hints.delete(topic)
}
