// How the reference store tells all that it knows, and takes it in. Whoever dumps and loads for it: model.ts.
import { lastOrder, verdictOn, type JobImage, type Loaded, type Place, type Trace } from '../store/moved.ts'
import { type Gate, idOf } from './model-alarms.ts'
import { dueAt, kindOf, type ModelJob } from './model-job.ts'
import { ModelClaims } from './model-claims.ts'

/** How stores name what of a queue is closed: `on` of a trace. */
const letters = { rate: 'q', level: 'l', key: 'k', type: 't' } as const

const onOf = ({ of, name }: Gate, whole: string): string => (of === 'hold' ? whole : `${letters[of]}${name}`)

const gateOf = (queue: string, on: string, whole: Gate['of']): Gate => {
  const name = on.slice(1)
  if (on === 'h') return { queue, of: 'hold', name }
  if (on.startsWith('l')) return { queue, of: 'level', name }
  if (on.startsWith('k')) return { queue, of: 'key', name }
  return on.startsWith('t') ? { queue, of: 'type', name } : { queue, of: whole, name }
}

export abstract class ModelMoves extends ModelClaims {
  protected abstract keepMs(job: ModelJob): number

  /** Of jobs that do not run, in the order in which they came. */
  images(): readonly JobImage[] {
    return this.all(({ state }) => state !== 'running')
      .sort((a, b) => a.arrival - b.arrival)
      .map((job) => this.image(job))
  }

  protected image(job: ModelJob): JobImage {
    const { attemptBase, policy, unique, id, type } = job
    const held = unique === null ? undefined : this.keys.held.get(`${type} ${unique.key}`)
    return {
      id,
      type,
      payload: job.payload,
      policy: { ...policy, maxAttempts: policy.maxAttempts - attemptBase },
      claim: job.claim,
      attempt: job.attempt,
      attemptBase,
      crashes: job.crashes,
      edited: job.edited,
      createdAt: job.createdAt,
      runAt: job.runAt,
      expireAt: job.expireAt,
      tags: job.tags,
      unique,
      holdsUnique: held?.id === id && held.until === null,
      key: job.key,
      hasTurn: this.lines.hasTurn(job),
      arrival: job.arrival,
      place: this.placeOf(job),
      progress: job.progress,
      attempts: job.attempts.filter(({ claim }) => job.state !== 'completed' || claim !== job.claim),
      logs: [...job.logs],
    }
  }

  protected placeOf(job: ModelJob): Place {
    const { state, parked, seq: order, token, readyAt } = job
    if (state === 'ready') return { state, parked, kind: kindOf(job), order, token, readyAt }
    if (state === 'scheduled') return { state, order, dueAt: job.runAt }
    const { startedAt, reason, result, resultUntil, attempts } = job
    const finishedAt = job.finishedAt!
    const worker = state === 'completed' ? (attempts.at(-1)?.worker ?? '') : null
    const expiresAt = finishedAt + this.keepMs(job)
    return { state: state as 'dead', startedAt, finishedAt, resultUntil, expiresAt, reason, result, worker }
  }

  load(given: JobImage): Loaded {
    const known = this.byId.get(given.id)
    if (known) return verdictOn(known.state === 'running' ? undefined : this.image(known), given)
    const job = this.restored(given)
    this.byId.set(job.id, job)
    this.goPast(lastOrder(given))
    if (given.holdsUnique) this.keys.held.set(`${job.type} ${job.unique!.key}`, { id: job.id, until: null })
    if (given.hasTurn) this.lines.takeTurn(job)
    if (dueAt(job) < Infinity) this.hint('due')
    return 'loaded'
  }

  protected restored({ policy, holdsUnique: _holds, hasTurn: _turn, place, ...image }: JobImage): ModelJob {
    const isEnded = 'finishedAt' in place
    const attempts = [...image.attempts]
    if (isEnded && place.worker !== null && place.startedAt !== null) {
      const { worker, startedAt, finishedAt: endedAt } = place
      const { claim, attempt } = image
      attempts.push({ claim, attempt, outcome: 'complete', worker, startedAt, endedAt, error: null })
    }
    return {
      ...image,
      state: place.state,
      policy: { ...policy, maxAttempts: policy.maxAttempts + image.attemptBase },
      result: isEnded ? place.result : null,
      resultUntil: isEnded ? place.resultUntil : null,
      reason: isEnded ? place.reason : null,
      error: image.attempts.findLast(({ error }) => error !== null)?.error ?? null,
      runAt: place.state === 'scheduled' ? place.dueAt : image.runAt,
      startedAt: isEnded ? place.startedAt : null,
      finishedAt: isEnded ? place.finishedAt : null,
      worker: null,
      cancelRequested: false,
      parked: place.state === 'ready' && place.parked,
      unparked: place.state === 'ready' && place.kind === 0,
      seq: isEnded ? image.arrival : place.order,
      token: place.state === 'ready' ? place.token : null,
      readyAt: place.state === 'ready' ? place.readyAt : 0,
      settled: null,
      attempts,
      logs: [...image.logs],
    }
  }

  traces(): readonly Trace[] {
    const { alarms, holds, starts } = this.limits
    const traces: Trace[] = []
    for (const [name, { id: job, until }] of this.keys.held) {
      const [type = '', ...key] = name.split(' ')
      if (until !== null) traces.push({ trace: 'unique', type, key: key.join(' '), job, until })
    }
    for (const [id, { type, holder, forgetAt: expiresAt }] of this.keys.replacements) {
      traces.push({ trace: 'replacement', id, type, holder, expiresAt })
    }
    for (const hold of holds.values()) {
      traces.push({ trace: 'hold', queue: hold.queue, on: onOf(hold, 'q'), until: hold.until })
    }
    for (const alarm of alarms.noted.values()) {
      traces.push({ trace: 'alarm', queue: alarm.queue, on: onOf(alarm, 'h'), at: alarm.at })
    }
    for (const [queue, { since, after }] of alarms.reviews) {
      traces.push({ trace: 'alarm', queue, on: `v${after ?? ''}`, at: since })
    }
    // By gate and instant: how many then, and with all before.
    const counted = new Map<string, Extract<Trace, { trace: 'starts' }>>()
    const totals = new Map<string, number>()
    for (const { gate, at, until } of [...starts].sort((a, b) => a.at - b.at)) {
      const [queue, of, name] = JSON.parse(gate) as [string, Gate['of'], string]
      const total = (totals.get(gate) ?? 0) + 1
      totals.set(gate, total)
      const n = (counted.get(`${at} ${gate}`)?.n ?? 0) + 1
      counted.set(`${at} ${gate}`, { trace: 'starts', queue, on: onOf({ queue, of, name }, 'q'), at, n, total, until })
    }
    return [...traces, ...counted.values()]
  }

  loadTrace(trace: Exclude<Trace, { trace: 'type' }>): void {
    const { alarms, holds } = this.limits
    switch (trace.trace) {
      case 'unique':
        this.keys.held.set(`${trace.type} ${trace.key}`, { id: trace.job, until: trace.until })
        break
      case 'replacement':
        this.keys.replacements.set(trace.id, { type: trace.type, holder: trace.holder, forgetAt: trace.expiresAt })
        break
      case 'hold': {
        const gate = gateOf(trace.queue, trace.on, 'hold')
        holds.set(idOf(gate), { ...gate, until: trace.until })
        break
      }
      case 'alarm':
        if (trace.on.startsWith('v')) {
          alarms.reviews.set(trace.queue, { since: trace.at, after: trace.on.slice(1) || null })
        } else alarms.note(gateOf(trace.queue, trace.on, 'rate'), trace.at)
        break
      case 'starts': {
        const { at, n, until } = trace
        const gate = idOf(gateOf(trace.queue, trace.on, 'rate'))
        const others = this.limits.starts.filter((start) => start.gate !== gate || start.at !== at)
        this.limits.starts = [...others, ...Array.from({ length: n }, () => ({ gate, at, until }))]
      }
    }
  }
}
