// A store whose calls go into the history: what was asked before it is sent, what was answered when it came.
import type { ExchangeRequest, NewJob, NewUnique, Settlement, Unique } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import type { Sent, Settled } from './events.ts'
import type { Note } from './history.ts'

export const sentOf = ({ id, type, payload, policy, delayMs, expireMs, unique, key }: NewJob): Sent => {
  const { queue, priority, maxAttempts, delivery } = policy
  return {
    id,
    type,
    queue,
    priority,
    payload,
    maxAttempts,
    once: delivery === 'at-most-once',
    delayMs,
    expireMs,
    unique: unique && heldAs(unique),
    ...(unique?.onConflict === 'replace' && { replaces: true }),
    key,
  }
}

const heldAs = ({ onConflict: _how, ...unique }: NewUnique): Unique => unique

const settledOf = (settlement: Settlement & { readonly worker?: string }): Settled => ({
  job: settlement.job,
  claim: settlement.claim,
  outcome: settlement.outcome,
  worker: settlement.worker,
  ...('delayMs' in settlement && { delayMs: settlement.delayMs }),
  ...('followUps' in settlement && { followUps: settlement.followUps?.map(sentOf) }),
  ...('holdBack' in settlement && { holdBack: settlement.holdBack?.scope }),
})

export function recorded(store: Store, note: Note): Store {
  const register: Store['register'] = async (worker) => {
    const answer = await store.register(worker)
    note({ e: 'registered', worker: worker.id, pid: worker.pid })
    return answer
  }
  const exchange = async (request: ExchangeRequest): ReturnType<Store['exchange']> => {
    const { worker, turn } = request
    const settlements = request.settlements.map(settledOf)
    if (settlements.length > 0 || request.slots > 0) note({ e: 'exchange', worker, turn, settlements })
    const reply = await store.exchange(request)
    const { closed } = reply
    const verdicts = reply.closed ? [] : reply.verdicts
    const claimed = reply.closed ? [] : reply.claimed.map(({ job, claim, payload }) => ({ job, claim, payload }))
    if (closed || verdicts.length + claimed.length > 0) {
      note({ e: 'exchanged', worker, turn, closed, settlements, verdicts, claimed })
    }
    return reply
  }
  const settle: Store['settle'] = async (given) => {
    const settlements = given.map(settledOf)
    note({ e: 'rescue', settlements })
    const verdicts = await store.settle(given)
    note({ e: 'rescued', settlements, verdicts })
    return verdicts
  }

  const own: Partial<Store> = { register, exchange, settle }
  return new Proxy(store, { get: (it, name: keyof Store) => own[name] ?? it[name].bind(it) })
}
