// Stores that are wrong in one point when they dump or load.
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import type { JobImage, Loaded, Place, Trace } from '#src/store/moved.js'
import { jobs, type Make } from './mutations.ts'

/** Loads something else than it is given. */
const loading = (change: (given: JobImage) => JobImage): Make =>
  jobs(
    class extends ModelJobs {
      override load(given: JobImage): Loaded {
        return this.byId.has(given.id) ? super.load(given) : super.load(change(given))
      }
    },
  )

const placing = (change: (place: Extract<Place, { state: 'ready' }>) => Partial<Place>): Make =>
  loading((image) => ({
    ...image,
    place: image.place.state === 'ready' ? ({ ...image.place, ...change(image.place) } as Place) : image.place,
  }))

const restoring = (change: (job: ModelJob) => Partial<ModelJob>): Make =>
  jobs(
    class extends ModelJobs {
      protected override restored(image: JobImage): ModelJob {
        const job = super.restored(image)
        return { ...job, ...change(job) }
      }
    },
  )

/** Forgets traces of a kind. */
const forgetting = (kind: Trace['trace']): Make =>
  jobs(
    class extends ModelJobs {
      override loadTrace(trace: Parameters<ModelJobs['loadTrace']>[0]): void {
        if (trace.trace !== kind) super.loadTrace(trace)
      }
      override traces(): readonly Trace[] {
        return super.traces().filter(({ trace }) => trace !== kind)
      }
    },
  )

export const moveMutants: Readonly<Record<string, Make>> = {
  'loads a job over another': jobs(
    class extends ModelJobs {
      override load(given: JobImage): Loaded {
        this.byId.delete(given.id)
        return super.load(given)
      }
    },
  ),
  'takes any job with a known id for the same': jobs(
    class extends ModelJobs {
      override load(given: JobImage): Loaded {
        return this.byId.has(given.id) ? 'same' : super.load(given)
      }
    },
  ),
  'dumps running jobs': jobs(
    class extends ModelJobs {
      override images(): readonly JobImage[] {
        return this.all(() => true)
          .sort((a, b) => a.arrival - b.arrival)
          .map((job) => this.image(job))
      }
    },
  ),
  'begins claim numbers again in another store': loading((image) => ({ ...image, claim: 0 })),
  'forgets crashes when it loads': loading((image) => ({ ...image, crashes: 0 })),
  'forgets tries before a retry by hand when it loads': loading((image) => ({ ...image, attemptBase: 0 })),
  'frees unique keys when it loads': loading((image) => ({ ...image, holdsUnique: false })),
  'takes every unique key when it loads': loading((image) => ({ ...image, holdsUnique: image.unique !== null })),
  'forgets turns when it loads': loading((image) => ({ ...image, hasTurn: false })),
  'forgets logs when it loads': loading((image) => ({ ...image, logs: [] })),
  'forgets progress when it loads': loading((image) => ({ ...image, progress: null })),
  'forgets that a job was edited': loading((image) => ({ ...image, edited: false, payload: image.payload })),
  'forgets when a job has to have started': loading((image) => ({ ...image, expireAt: null })),
  'orders jobs as they are loaded': jobs(
    class extends ModelJobs {
      protected override restored(image: JobImage): ModelJob {
        return { ...super.restored(image), seq: this.nextSeq() }
      }
    },
  ),
  'puts new jobs between those that it loaded': jobs(
    class extends ModelJobs {
      override goPast(): void {}
    },
  ),
  'lets no key stand for its jobs': placing(() => ({ token: null })),
  'hands out to anybody what stood aside': placing(() => ({ parked: false })),
  'makes loaded jobs ready anew': restoring((job) => ({ readyAt: job.readyAt + 1 })),
  'keeps ended jobs from when they were loaded': jobs(
    class extends ModelJobs {
      readonly #loaded = new Set<string>()
      override load(given: JobImage): Loaded {
        this.#loaded.add(given.id)
        return super.load(given)
      }
      protected override keepMs(job: ModelJob): number {
        return super.keepMs(job) + (this.#loaded.has(job.id) ? 1 : 0)
      }
    },
  ),
  'forgets keys that are held for a time': forgetting('unique'),
  'forgets which enqueues have replaced others': forgetting('replacement'),
  'forgets what handlers held back': forgetting('hold'),
  'forgets when something opens': forgetting('alarm'),
  'forgets what rates have counted': forgetting('starts'),
  'counts starts again that it knows': jobs(
    class extends ModelJobs {
      override loadTrace(trace: Parameters<ModelJobs['loadTrace']>[0]): void {
        const before = this.limits.starts
        super.loadTrace(trace)
        if (trace.trace === 'starts') this.limits.starts = [...before, ...this.limits.starts]
      }
    },
  ),
}
