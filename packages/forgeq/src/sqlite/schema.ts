// The tables, as an ordered list of migrations. A migration that has shipped never changes; a new one is added below it.
//
// What a job costs: its body is written once (`job`), its place moves between small trees (`ready`, `later`, `parked`,
// `running`, `done`). A claim reads `ready` and the bodies it hands out, nothing else.

/** Numbers in `tally.state` and `done.state`. */
export const stateCodes = {
  scheduled: 0,
  blocked: 1,
  ready: 2,
  running: 3,
  completed: 4,
  dead: 5,
  cancelled: 6,
} as const

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

// Not unixepoch('subsec'): distributions ship SQLite older than 3.42 to other languages.
const nowMs = /* sql */ `CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)`

const hex = (digits: number): string => '[0-9a-f]'.repeat(digits)
const idShape = `${hex(8)}-${hex(4)}-7${hex(3)}-[89ab]${hex(3)}-${hex(12)}`
const day = 86_400_000

/** Aborts the statement of whoever inserts when `fault` holds of the new row. */
const refuse = (message: string, fault: string): string => `SELECT RAISE(ABORT, 'forgeq: ${message}') WHERE ${fault};`
const isNoWhole = (column: string): string => `typeof(NEW.${column}) NOT IN ('integer', 'null')`
const isNoName = (column: string): string =>
  `NEW.${column} IS NOT NULL AND (typeof(NEW.${column}) <> 'text' OR length(NEW.${column}) NOT BETWEEN 1 AND 128 OR NEW.${column} GLOB '*[^A-Za-z0-9_.:/-]*' OR instr(NEW.${column}, char(0)))`

// Most payloads have too few brackets to be too deep; those of the others are walked level by level, 200 ms at worst.
const isTooDeep = /* sql */ `length(NEW.payload) - length(replace(replace(NEW.payload, '[', ''), '{', '')) > 64 AND EXISTS (
    WITH RECURSIVE
      node (id, parent) AS MATERIALIZED (
        SELECT id, parent FROM json_tree(NEW.payload) WHERE type IN ('array', 'object')),
      level (id, depth) AS (
        SELECT id, 1 FROM node WHERE parent IS NULL
        UNION ALL SELECT node.id, depth + 1 FROM level JOIN node ON node.parent = level.id WHERE depth <= 64)
    SELECT 1 FROM level WHERE depth > 64)`

const doorOfView = [
  refuse('type must be 1 to 128 of A-Z a-z 0-9 _ . : / -', `NEW.type IS NULL OR ${isNoName('type')}`),
  refuse('queue must be 1 to 128 of A-Z a-z 0-9 _ . : / -', isNoName('queue')),
  refuse(
    'payload must be JSON text of at most 1 MiB',
    `typeof(NEW.payload) NOT IN ('text', 'null') OR NOT json_valid(coalesce(NEW.payload, 'null'))
      OR length(CAST(NEW.payload AS BLOB)) > 1048576 OR instr(NEW.payload, char(0))`,
  ),
  refuse('payload must be nested at most 64 levels deep', isTooDeep),
  refuse('priority must be a whole number from 0 to 9', `${isNoWhole('priority')} OR NEW.priority NOT BETWEEN 0 AND 9`),
  refuse(
    'delay_ms and timeout_ms must be whole numbers, not negative and at most ten years',
    `${isNoWhole('delay_ms')} OR ${isNoWhole('timeout_ms')} OR NEW.delay_ms NOT BETWEEN 0 AND ${3650 * day}
      OR NEW.timeout_ms NOT BETWEEN 0 AND ${3650 * day}`,
  ),
  refuse(
    'max_attempts must be a whole number from 1 to 10001',
    `${isNoWhole('max_attempts')} OR NEW.max_attempts NOT BETWEEN 1 AND 10001`,
  ),
  refuse(
    'unique_key must be a text of 1 to 256 characters',
    `NEW.unique_key IS NOT NULL AND (typeof(NEW.unique_key) <> 'text' OR length(NEW.unique_key) NOT BETWEEN 1 AND 256
      OR instr(NEW.unique_key, char(0)))`,
  ),
  refuse(
    'id must be a UUIDv7 in lower case, made within a day',
    `NEW.id IS NOT NULL AND (NEW.id NOT GLOB '${idShape}' OR substr(NEW.id, 1, 8) || substr(NEW.id, 10, 4)
      NOT BETWEEN printf('%012x', ${nowMs} - ${day}) AND printf('%012x', ${nowMs} + ${day}))
      AND NOT EXISTS (SELECT 1 FROM forgeq_job WHERE id = NEW.id)`,
  ),
  refuse(
    'this id belongs to a job with another type or payload',
    `EXISTS (SELECT 1 FROM forgeq_job j JOIN forgeq_type t ON t.id = j.type WHERE j.id = NEW.id
      AND (t.name <> NEW.type OR j.payload <> coalesce(NEW.payload, 'null')))`,
  ),
].join('\n  ')

// Any language enqueues with an INSERT into this view, in its own transaction. The trigger does what enqueue.ts does.
const enqueueView = /* sql */ `
CREATE VIEW forgeq_enqueue (type, payload, id, queue, priority, delay_ms, max_attempts, timeout_ms, unique_key) AS
  SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0;
CREATE TRIGGER forgeq_enqueue_insert INSTEAD OF INSERT ON forgeq_enqueue BEGIN
  ${doorOfView}
  -- The same id, or a unique key that is held, is a duplicate: nothing to do.
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM forgeq_job WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM forgeq_uniq u JOIN forgeq_type t ON t.id = u.type WHERE t.name = NEW.type AND u.key = NEW.unique_key);
  INSERT INTO forgeq_type (name) VALUES (NEW.type) ON CONFLICT DO NOTHING;
  INSERT INTO forgeq_queue (name)
    SELECT coalesce(NEW.queue, queue, 'default') FROM forgeq_type WHERE name = NEW.type ON CONFLICT DO NOTHING;
  UPDATE forgeq_meta SET seq = seq + 1, now = max(now, ${nowMs});
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, created_at, run_at, uniq, payload)
    SELECT m.seq,
      coalesce(NEW.id, substr(printf('%012x', m.now), 1, 8) || '-' || substr(printf('%012x', m.now), 9, 4)
        || '-7' || lower(substr(hex(randomblob(2)), 2)) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || lower(substr(hex(randomblob(2)), 2)) || '-' || lower(hex(randomblob(6)))),
      t.id, q.id, coalesce(NEW.priority, t.priority, 5),
      -- The inner patch drops the columns that were not given, so they do not erase the type's own values.
      nullif(json_patch(coalesce(t.policy, '{}'),
        json_patch('{}', json_object('maxAttempts',
          CASE WHEN t.policy ->> '$.delivery' = 'at-most-once' THEN NULL ELSE NEW.max_attempts END,
          'timeoutMs', NEW.timeout_ms))), '{}'),
      m.now, m.now + coalesce(NEW.delay_ms, 0), NEW.unique_key, coalesce(NEW.payload, 'null')
    FROM forgeq_meta m, forgeq_type t JOIN forgeq_queue q ON q.name = coalesce(NEW.queue, t.queue, 'default')
    WHERE t.name = NEW.type;
  INSERT INTO forgeq_uniq (type, key, job)
    SELECT j.type, j.uniq, j.seq FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.uniq IS NOT NULL;
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler)
    SELECT j.queue, j.priority * 4 + 2, j.seq, j.seq, j.type, j.created_at, 0, 1, 0, 0
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.run_at <= j.created_at;
  INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler)
    SELECT j.run_at, j.seq, j.seq, 0, 1, 0, 0 FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.run_at > j.created_at;
  INSERT INTO forgeq_tally (queue, state, n)
    SELECT j.queue, CASE WHEN j.run_at > j.created_at THEN ${stateCodes.scheduled} ELSE ${stateCodes.ready} END, 1
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq
    ON CONFLICT (queue, state) DO UPDATE SET n = n + 1;
END;
`

export const migrations: readonly Step[] = [
  { name: '001 tables', sql: tables },
  { name: '002 enqueue view', sql: enqueueView },
  { name: '003 limits', sql: limits },
]
