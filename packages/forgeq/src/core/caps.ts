// Limits and defaults, each once, with its unit in its name. How long ended jobs are kept: retention.ts.

/** What is refused at the door or cut down, so that no job can grow without bound. */
export const caps = {
  payloadBytes: 1_048_576,
  resultBytes: 1_048_576,
  /** Arrays and objects inside each other in a payload or result. */
  jsonDepth: 64,
  nameLength: 128,
  uniqueLength: 256,
  keyLength: 256,
  tags: 10,
  tagLength: 64,
  retries: 10_000,
  backoffDelays: 100,
  /** Of one job. */
  logLines: 1000,
  /** Of one job. */
  logBytes: 262_144,
  attemptsKept: 20,
  /** Of one failure, as JSON. */
  errorBytes: 16_384,
  /** The crash that buries a job as poison. */
  crashes: 3,
  /** How far the time in an id may be from the store's. */
  idDriftMs: 86_400_000,
  leaseMinMs: 5000,
  leaseMaxMs: 600_000,
  /** Starts in the window of a rate: the store remembers each of them. */
  rateMax: 100_000,
  ratePerMinMs: 1,
  ratePerMaxMs: 2_592_000_000,
  queueConcurrency: 10_000,
  keyConcurrency: 1000,
  queueDepth: 1_000_000_000,
  /** Of one process, for an answer of the store. */
  enqueuesWaiting: 10_000,
} as const

/** What holds where nothing else is said. */
export const defaults = {
  queue: 'default',
  /** `normal`. */
  priority: 5,
  /** After the first try. */
  retries: 5,
  backoffBaseMs: 1000,
  backoffFactor: 2,
  backoffMaxMs: 3_600_000,
  timeoutMs: 300_000,
  keepResultMs: 3_600_000,
  leaseMs: 15_000,
  beatMs: 5000,
  /** Jobs a worker runs at a time. */
  concurrency: 10,
  /** How long a stopping worker lets its handlers finish. */
  graceMs: 25_000,
  /** Of the time that stopping a process may take, what is kept for aborting handlers and handing their jobs back. */
  handBackMs: 2000,
  pollBusyMs: 25,
  pollIdleMs: 1000,
  /** How long an enqueue whose outcome is unknown is sent again with the same id. */
  enqueueDeadlineMs: 2000,
} as const
