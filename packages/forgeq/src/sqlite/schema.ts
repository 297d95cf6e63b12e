// The tables, as an ordered list of migrations. A migration that has shipped never changes; a new one is added below it.
//
// What a job costs: its body is written once (`job`), its place moves between small trees (`ready`, `later`, `parked`,
// `line`, `running`, `done`). A claim without limits and keys reads the row of the queue, `ready` and the bodies it hands out.
import { ForgeError } from '../core/errors.ts'

export interface Step {
  readonly name: string
  readonly sql: string
}

const tables = /* sql */ `
-- One row: the sequence that orders everything, the last time seen, and what the outage guard needs.
CREATE TABLE forgeq_meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL, now INTEGER NOT NULL, beat_at INTEGER NOT NULL, guard_until INTEGER NOT NULL
);
INSERT INTO forgeq_meta VALUES (1, 0, 0, 0, 0);

CREATE TABLE forgeq_queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, paused INTEGER NOT NULL DEFAULT 0);
-- announced = a worker has said what the columns behind it hold.
CREATE TABLE forgeq_type (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, announced INTEGER NOT NULL DEFAULT 0,
  queue TEXT, priority INTEGER, policy TEXT, schema TEXT
);

-- The body. seq is the order of arrival; policy holds what differs from the defaults (policy.ts); attempt_base counts the
-- tries before the last retry by hand.
CREATE TABLE forgeq_job (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type INTEGER NOT NULL, queue INTEGER NOT NULL, priority INTEGER NOT NULL,
  policy TEXT, attempt_base INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, run_at INTEGER NOT NULL,
  expire_at INTEGER, tags TEXT, uniq TEXT, payload TEXT NOT NULL
);

-- What claims read. lane = priority * 4 + (0 unparked, 1 front, 2 fresh); at = when it became ready. A job that arrives
-- ready sits at seq = job, so its place is known without an index; jobs that moved are in the partial indexes.
CREATE TABLE forgeq_ready (
  queue INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL, type INTEGER NOT NULL,
  at INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (queue, lane, seq)
) WITHOUT ROWID;
CREATE INDEX forgeq_ready_moved ON forgeq_ready (job) WHERE seq <> job;
-- Those that were running in a crash: few, and looked for before all others.
CREATE INDEX forgeq_ready_suspect ON forgeq_ready (queue, lane, seq, type) WHERE crashes > 0;

-- Ready jobs that met a worker which does not know their type.
CREATE TABLE forgeq_parked (
  queue INTEGER NOT NULL, type INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL UNIQUE,
  at INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (queue, type, lane, seq)
) WITHOUT ROWID;
CREATE INDEX forgeq_parked_suspect ON forgeq_parked (queue, type, lane, seq) WHERE crashes > 0;

CREATE TABLE forgeq_later (
  run_at INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL,
  claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (run_at, seq)
) WITHOUT ROWID;
CREATE INDEX forgeq_later_moved ON forgeq_later (job) WHERE seq <> job;

-- lane and seq = where it was claimed from, the order in which a repeated turn hands it out again. settler = the worker that
-- settled the claim before this one and alone may ask again: negative when it was told 'cancelled', 0 after a rescue.
CREATE TABLE forgeq_running (
  job INTEGER PRIMARY KEY, worker INTEGER NOT NULL, claim INTEGER NOT NULL, turn INTEGER NOT NULL, queue INTEGER NOT NULL,
  lane INTEGER NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  started_at INTEGER NOT NULL, keep_ms INTEGER NOT NULL, uniq INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX forgeq_running_cancelled ON forgeq_running (worker) WHERE cancelled;
CREATE INDEX forgeq_running_suspect ON forgeq_running (worker) WHERE crashes > 0;

CREATE TABLE forgeq_done (
  job INTEGER PRIMARY KEY, state INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL,
  settler INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER NOT NULL, result_until INTEGER, expires_at INTEGER NOT NULL,
  reason TEXT, result TEXT
);
CREATE INDEX forgeq_done_exceptional ON forgeq_done (state, job) WHERE state <> 4;

-- Jobs to prune, one row for each batch that ended together: retention costs no index entry per job.
CREATE TABLE forgeq_expiry (at INTEGER NOT NULL, seq INTEGER NOT NULL, jobs TEXT NOT NULL, PRIMARY KEY (at, seq)) WITHOUT ROWID;

-- Jobs that must have started by a time.
CREATE TABLE forgeq_deadline (at INTEGER NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (at, job)) WITHOUT ROWID;

CREATE TABLE forgeq_uniq (type INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (type, key)) WITHOUT ROWID;

-- Claims that ended without completing; a completed one is in done.
CREATE TABLE forgeq_attempt (
  job INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, outcome TEXT NOT NULL, worker INTEGER NOT NULL,
  started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, error TEXT, PRIMARY KEY (job, claim)
) WITHOUT ROWID;

CREATE TABLE forgeq_progress (job INTEGER PRIMARY KEY, progress TEXT NOT NULL);
CREATE TABLE forgeq_log (
  job INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, claim INTEGER NOT NULL, level TEXT NOT NULL,
  message TEXT NOT NULL, PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE TABLE forgeq_log_size (job INTEGER PRIMARY KEY, lines INTEGER NOT NULL, bytes INTEGER NOT NULL);

-- The lease of a process. turn = its last exchange. Once it is closed and holds nothing it has left (left_at) and stays
-- only as the name that attempts refer to; its number is never given again. ended = how its process did.
CREATE TABLE forgeq_worker (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, host TEXT NOT NULL, pid INTEGER NOT NULL, pid_space TEXT, version TEXT NOT NULL,
  queues TEXT NOT NULL, types TEXT NOT NULL, slots INTEGER NOT NULL, lease_ms INTEGER NOT NULL, started_at INTEGER NOT NULL,
  beat_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0,
  left_at INTEGER, turn INTEGER NOT NULL DEFAULT 0, facts TEXT, ended TEXT
);
CREATE INDEX forgeq_worker_present ON forgeq_worker (expires_at) WHERE left_at IS NULL;
CREATE INDEX forgeq_worker_left ON forgeq_worker (left_at) WHERE left_at IS NOT NULL;

-- How many jobs of a queue are in a state: written once per transaction, so depth costs nothing to read.
CREATE TABLE forgeq_tally (queue INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (queue, state)) WITHOUT ROWID;
`

// uniq_for = how long job.uniq is held: NULL until the job has ended, -1 until it is claimed, else so many milliseconds from
// its enqueue; edited = the payload may be another than the one it was enqueued with.
// A key that is held for a time has until and the id of its job, which may be pruned before.
const deduplication = /* sql */ `
ALTER TABLE forgeq_job ADD COLUMN uniq_for INTEGER;
ALTER TABLE forgeq_job ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE forgeq_uniq ADD COLUMN until INTEGER;
ALTER TABLE forgeq_uniq ADD COLUMN id TEXT;
CREATE INDEX forgeq_uniq_until ON forgeq_uniq (until) WHERE until IS NOT NULL;

-- Enqueues that gave a waiting job other work: sent again, they have the same answer and change nothing.
CREATE TABLE forgeq_replacement (
  id TEXT PRIMARY KEY, type INTEGER NOT NULL, holder TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX forgeq_replacement_expiry ON forgeq_replacement (expires_at);
`

const limits = /* sql */ `
-- limits = what is limited, as JSON (core/limit.ts); NULL when nothing is.
ALTER TABLE forgeq_queue ADD COLUMN accepting INTEGER NOT NULL DEFAULT 1;
ALTER TABLE forgeq_queue ADD COLUMN limits TEXT;
ALTER TABLE forgeq_job ADD COLUMN key TEXT;
ALTER TABLE forgeq_parked ADD COLUMN key TEXT;
ALTER TABLE forgeq_running ADD COLUMN key TEXT;
CREATE INDEX forgeq_running_key ON forgeq_running (queue, key) WHERE key IS NOT NULL;
-- A row of ready that has a key is its token: the job itself is in line.
ALTER TABLE forgeq_ready ADD COLUMN key TEXT;
CREATE UNIQUE INDEX forgeq_ready_key ON forgeq_ready (queue, key) WHERE key IS NOT NULL;

-- The ready jobs of each key, in the order in which they start.
CREATE TABLE forgeq_line (
  queue INTEGER NOT NULL, key TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL UNIQUE,
  type INTEGER NOT NULL, at INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL,
  settler INTEGER NOT NULL, PRIMARY KEY (queue, key, lane, seq)
) WITHOUT ROWID;
CREATE INDEX forgeq_line_age ON forgeq_line (queue, at);
CREATE INDEX forgeq_line_type ON forgeq_line (queue, key, type, lane, seq);

-- Which job the others of an ordered key wait for.
CREATE TABLE forgeq_key_turn (queue INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (queue, key)) WITHOUT ROWID;

-- Starts, for rates: what = q for the queue, l5 for a level, kX for key X. total = of all rows up to this one; until = when
-- no window counts it any more.
CREATE TABLE forgeq_start (
  queue INTEGER NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL, total INTEGER NOT NULL,
  until INTEGER NOT NULL, PRIMARY KEY (queue, what, at)
) WITHOUT ROWID;
CREATE INDEX forgeq_start_until ON forgeq_start (until);

-- What handlers hold back (q, t5 for a type, kX), and when something is to be looked at again (h: the end of a hold of the
-- queue, t5, q, l5, kX; vX: the keys behind X).
CREATE TABLE forgeq_hold (queue INTEGER NOT NULL, what TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (queue, what)) WITHOUT ROWID;
CREATE INDEX forgeq_hold_until ON forgeq_hold (until);
CREATE TABLE forgeq_alarm (queue INTEGER NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (queue, what)) WITHOUT ROWID;
CREATE INDEX forgeq_alarm_at ON forgeq_alarm (at);
`

export const migrations: readonly Step[] = [
  { name: '001 tables', sql: tables },
  // Views are made anew after the steps: enqueue-view.ts.
  { name: '002 enqueue view', sql: '' },
  { name: '003 deduplication', sql: deduplication },
  { name: '004 limits', sql: limits },
]

export const tooNew = (version: number): ForgeError =>
  new ForgeError(
    'MIGRATION_NEEDED',
    `the file has schema version ${version}, this ForgeQ knows ${migrations.length}; upgrade forgeq before it is used again`,
  )
