// Stores that are wrong in one point each: what the cases are for is to catch them.
import { Model } from '#src/conformance/model.js'
import { ModelCrew, type ModelWorker } from '#src/conformance/model-crew.js'
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import type { Enqueued, JobRecord, NewJob, Note, Settlement, Verdict } from '#src/store/records.js'
import { uniqueMutants } from './unique-mutants.ts'
import {
  afterSettling,
  asking,
  beforeActing,
  beforeAdding,
  beforeSettling,
  claiming,
  crew,
  exchanging,
  expiring,
  fence,
  holding,
  jobs,
  keeping,
  lanes,
  leaving,
  promoting,
  type Make,
} from './mutations.ts'

const byLevel = (a: ModelJob, b: ModelJob): number => a.policy.priority - b.policy.priority
const laneRank = ({ unparked, claim }: ModelJob): number => (unparked ? 0 : claim > 0 ? 2 : 1)

let turns = 0

export const mutants: Readonly<Record<string, Make>> = {
  'enqueues the same id twice': beforeAdding((byId, job) => {
    byId.delete(job.id)
    return job
  }),
  'takes any payload for a known id': beforeAdding((byId, job) => ({
    ...job,
    payload: byId.get(job.id)?.payload ?? job.payload,
  })),
  'parses payloads': beforeAdding((_, job) => ({ ...job, payload: JSON.stringify(JSON.parse(job.payload)) })),
  'stores a part of an atomic call': jobs(
    class extends ModelJobs {
      override enqueue(batch: readonly NewJob[], _atomic: boolean, now: number): readonly Enqueued[] {
        return super.enqueue(batch, false, now)
      }
    },
  ),

  'settles without a fence': fence(() => true),
  'fences by worker only': fence((job, worker) => job.worker === worker),
  'fences by claim number only': fence((job, _, hold) => job.claim === hold.claim),
  'writes notes without a fence': jobs(
    class extends ModelJobs {
      override note(worker: string, note: Note, now: number): void {
        const job = this.byId.get(note.job)
        super.note(job?.worker ?? worker, { ...note, claim: job?.claim ?? note.claim }, now)
      }
    },
  ),
  'begins claim numbers again after a rescue': afterSettling((job, { outcome }) => {
    if (outcome === 'crash') job.claim = 0
  }),
  'begins claim numbers again after a retry by hand': beforeActing((job, { action }) => {
    if (action === 'retry') job.claim = 0
  }),
  'forgets what it settled last': beforeSettling((job) => {
    job.settled = null
  }),
  'takes an old claim for the last one': beforeSettling((job, { claim }) => {
    if (job.settled && claim < job.settled.claim) job.settled = { ...job.settled, claim }
  }),
  'counts a rescue again': beforeSettling((job, _, isRescue) => {
    if (isRescue && job.state === 'ready') job.crashes += 1
  }),
  'counts a crash as an attempt': afterSettling((job, { outcome }) => {
    if (outcome === 'crash') job.attempt += 1
  }),
  'counts a release as an attempt': afterSettling((job, { outcome }) => {
    if (outcome === 'release') job.attempt += 1
  }),
  'keeps every attempt': afterSettling((job, _, before) => {
    job.attempts = [...before.attempts, job.attempts.at(-1)!]
  }),
  'stores follow-ups of stale completions': jobs(
    class extends ModelJobs {
      override settle(worker: string, settlement: Settlement, isRescue: boolean, now: number): Verdict {
        if (settlement.outcome === 'complete') this.enqueue(settlement.followUps ?? [], false, now)
        return super.settle(worker, settlement, isRescue, now)
      }
    },
  ),

  'completes what was cancelled': beforeSettling((job, { outcome }) => {
    if (outcome === 'complete') job.cancelRequested = false
  }),
  'brings back by rescue what was cancelled': beforeSettling((job, _, isRescue) => {
    if (isRescue) job.cancelRequested = false
  }),
  'tells nobody to cancel': jobs(
    class extends ModelJobs {
      override orders(): [] {
        return []
      }
    },
  ),
  'deletes running jobs': beforeActing((job, { action }) => {
    if (action === 'delete' && job.state === 'running') job.state = 'ready'
  }),

  ...uniqueMutants,

  'puts what comes back behind what is new': lanes((ready) =>
    ready.sort((a, b) => byLevel(a, b) || laneRank(a) - laneRank(b)),
  ),
  'hands out the last first': lanes((ready) => ready.sort((a, b) => byLevel(a, b) || b.seq - a.seq)),
  'knows no levels': lanes((ready) => ready.sort((a, b) => a.seq - b.seq)),
  'loses jobs of types that a worker did not know': jobs(
    class extends ModelJobs {
      protected override unpark(): void {
        // They stay aside.
      }
    },
  ),
  'hands out jobs of types that a worker does not know': claiming((all, [queue, slots, worker, ...rest]) => {
    const types = all.all(() => true).map(({ type, policy }) => ({ type, policy, inputSchema: null }))
    return [queue, slots, { ...worker, types }, ...rest]
  }),
  'claims more than all slots': claiming((_, [queue, , ...rest]) => [queue, 1000, ...rest]),
  'ignores the pause': claiming((all, args) => {
    all.limits.change(args[0], { paused: false }, args[3])
    return args
  }),

  'hands out suspects with others': asking((_, { suspects: _how, ...request }) => request),
  'hands out all suspects at once': claiming((_, [queue, slots, worker, now, part]) =>
    part === 'suspects' ? [queue, 1000, worker, now, part] : [queue, slots, worker, now, part],
  ),
  'hands out others with the one that runs alone': claiming((_, [queue, slots, worker, now, part]) =>
    part === 'suspects' ? [queue, 1000, worker, now, 'all'] : [queue, slots, worker, now, part],
  ),
  'takes alone for skip': asking((_, request) =>
    request.suspects === 'alone' ? { ...request, suspects: 'skip' } : request,
  ),
  'takes apart for alone': asking((_, request) =>
    request.suspects === 'apart' ? { ...request, suspects: 'alone' } : request,
  ),
  'takes apart for together': asking((_, request) =>
    request.suspects === 'apart' ? { ...request, suspects: 'together' } : request,
  ),
  'takes alone for apart': asking((_, request) =>
    request.suspects === 'alone' ? { ...request, suspects: 'apart' } : request,
  ),
  'hands out as many suspects apart as fit': asking((_, { suspectSlots: _most, ...request }) => request),
  'leaves slots empty that suspects must not take': asking((_, request) => ({
    ...request,
    slots: Math.min(request.slots, request.suspectSlots ?? request.slots),
  })),
  'hands out suspects apart only to those who hold nothing': asking((all, request, worker) =>
    request.suspects === 'apart' && all.heldBy(worker).length > 0 ? { ...request, suspects: 'skip' } : request,
  ),
  'hands out others behind the last suspect apart': claiming((all, [queue, slots, worker, now, part]) => {
    const isOver = part === 'suspects' && slots > 1 && all.lanes(queue).every(({ crashes }) => crashes === 0)
    return [queue, slots, worker, now, isOver ? 'all' : part]
  }),
  'takes skip for alone': asking((_, request) =>
    request.suspects === 'skip' ? { ...request, suspects: 'alone' } : request,
  ),
  'skips suspects where they may come together': asking((_, request) => ({ suspects: 'skip', ...request })),
  'hands out a suspect to a worker that holds others': holding((held) => held.filter(({ crashes }) => crashes > 0)),
  'hands out others to a worker that holds a suspect': holding((held) => held.map((job) => ({ ...job, crashes: 0 }))),
  'stops claiming while suspects are there': claiming((all, args) =>
    args[4] === 'others' && all.lanes(args[0]).some(({ crashes }) => crashes > 0)
      ? [args[0], 0, args[2], args[3], args[4]]
      : args,
  ),
  'says nothing of suspects': leaving(() => false),
  'speaks of suspects that may come together': leaving(
    (right, { suspects = 'together' }) => right || suspects === 'together',
  ),
  'forgets how a process ended': crew(
    class extends ModelCrew {
      override close(id: string): void {
        super.close(id)
      }
    },
  ),
  'believes who tells last how a process ended': crew(
    class extends ModelCrew {
      override close(...[id, end]: Parameters<ModelCrew['close']>): void {
        super.close(id, end)
        const worker = this.closed(id)
        if (worker) worker.end = end ?? null
      }
    },
  ),
  'does not count crashes': afterSettling((job, { outcome }, before) => {
    if (outcome === 'crash') job.crashes = before.crashes
  }),
  'forgets crashes at a release': afterSettling((job, { outcome }) => {
    if (outcome === 'release') job.crashes = 0
  }),
  'forgets crashes at a retry': afterSettling((job, { outcome }) => {
    if (outcome === 'retry' || outcome === 'snooze') job.crashes = 0
  }),
  'keeps the crashes of before a retry by hand': jobs(
    class extends ModelJobs {
      override act(...args: Parameters<ModelJobs['act']>): ReturnType<ModelJobs['act']> {
        const job = this.byId.get(args[0])
        const crashes = job?.crashes ?? 0
        const verdict = super.act(...args)
        if (job) job.crashes = crashes
        return verdict
      }
    },
  ),

  'promotes a millisecond early': promoting((limit, now) => [limit, now + 1]),
  'promotes a millisecond late': promoting((limit, now) => [limit, now - 1]),
  'promotes all at once': promoting((_, now) => [Infinity, now]),
  'never ends what expired': jobs(
    class extends ModelJobs {
      protected override end(...args: Parameters<ModelJobs['end']>): void {
        if (args[1] !== 'expire') super.end(...args)
      }
    },
  ),
  'prunes too early': keeping((_, rightMs) => rightMs - 1),
  'prunes too late': keeping((_, rightMs) => rightMs + 1),
  'forgets an ended id with its result': keeping((job, rightMs) =>
    job.state === 'completed' ? job.policy.keepResultMs : rightMs,
  ),
  'shows a result until it is pruned': afterSettling((job) => {
    if (job.resultUntil !== null) job.resultUntil = Number.MAX_SAFE_INTEGER
  }),

  'has no outage guard': crew(
    class extends ModelCrew {
      protected override hear(): void {
        // Hears nothing.
      }
    },
  ),
  'closes nobody': expiring(() => Number.MAX_SAFE_INTEGER),
  'closes a millisecond early': expiring((rightAt) => rightAt - 1),
  'closes a millisecond late': expiring((rightAt) => rightAt + 1),
  'does not hear beats': crew(
    class extends ModelCrew {
      override beat(): void {
        // Hears nothing.
      }
    },
  ),
  'lets closed workers go on': crew(
    class extends ModelCrew {
      readonly #all = new Map<string, ModelWorker>()
      override open(id: string): ModelWorker | undefined {
        const worker = super.open(id) ?? this.#all.get(id)
        if (worker) this.#all.set(id, worker)
        return worker
      }
    },
  ),
  'takes every worker for lost': crew(
    class extends ModelCrew {
      override closed(id: string | null): ReturnType<ModelCrew['closed']> {
        return super.closed(id) ?? (id === null ? undefined : this.open(id))
      }
    },
  ),
  'orders other slots only once': crew(
    class extends ModelCrew {
      readonly #told = new Set<string>()

      override resizes(worker: ModelWorker): ReturnType<ModelCrew['resizes']> {
        const orders = super.resizes(worker)
        if (this.#told.has(worker.facts.id)) return []
        if (orders.length > 0) this.#told.add(worker.facts.id)
        return orders
      }
    },
  ),
  'orders slots that the worker has': crew(
    class extends ModelCrew {
      override resizes({ slots, facts }: ModelWorker): ReturnType<ModelCrew['resizes']> {
        return slots === facts.slots ? [] : [{ order: 'resize', slots }]
      }
    },
  ),
  'gives slots to closed workers': crew(
    class extends ModelCrew {
      override resize(id: string, slots: number): boolean {
        super.resize(id, slots)
        return true
      }
    },
  ),

  'claims afresh when a turn is sent again': exchanging((right, request) => right({ ...request, turn: ++turns })),
  'answers an older turn': exchanging((right, request) =>
    right(request).catch(() => ({
      closed: false,
      verdicts: [],
      claimed: [],
      orders: [],
      suspects: false,
      more: false,
      nextDueAt: null,
      now: 0,
    })),
  ),
  'claims before it settles': exchanging(async (right, request) => {
    const turn = request.turn * 2
    const first = await right({ ...request, turn, settlements: [] })
    if (first.closed) return first
    const then = await right({ ...request, turn: turn + 1, wants: [], notes: [] })
    return then.closed ? then : { ...then, claimed: first.claimed }
  }),
  'follows a clock that goes back': (clock) =>
    new (class extends Model {
      protected override now(): number {
        super.now()
        return clock()
      }
    })(clock),
  'ends a list at an empty page': (clock) =>
    new (class extends Model {
      override async find(...args: Parameters<Model['find']>): ReturnType<Model['find']> {
        const page = await super.find(...args)
        return page.jobs.length === 0 ? { ...page, cursor: null } : page
      }
    })(clock),
  'has a cursor with every full page': (clock) =>
    new (class extends Model {
      override async find(...args: Parameters<Model['find']>): ReturnType<Model['find']> {
        const page = await super.find(...args)
        return page.scanned < args[2] ? page : { ...page, cursor: page.cursor ?? page.jobs.at(-1)?.id ?? null }
      }
    })(clock),
  'puts any amount on a page': (clock) =>
    new (class extends Model {
      override async find(...[filter, cursor, limit]: Parameters<Model['find']>): ReturnType<Model['find']> {
        const page = await super.find(filter, cursor, limit)
        if (page.cursor === null || page.jobs.length === limit) return page
        const rest = await this.find(filter, page.cursor, limit - page.jobs.length)
        return { ...rest, jobs: [...page.jobs, ...rest.jobs] }
      }
    })(clock),
  'answers jobs in its own order': (clock) =>
    new (class extends Model {
      override async jobs(...args: Parameters<Model['jobs']>): Promise<readonly JobRecord[]> {
        return [...(await super.jobs(...args))].sort((a, b) => (a.id < b.id ? -1 : 1))
      }
    })(clock),
}
