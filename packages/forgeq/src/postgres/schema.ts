// The tables, as an ordered list of migrations. A migration that has shipped never changes; a new one is added below it.
// Statements say `forgeq.`; the name of the schema in use takes its place when they are sent (statements.ts).
//
// What a job costs: its body (`job`), its place (`live`, claimed in place by an update that touches no index) and its end
// (`done`): three index entries in a whole life. What waits for a time or for its key is elsewhere, so a claim reads
// `live` and the bodies it hands out, nothing else.
import { expect } from './schema-expect.ts'
import { handOver } from './schema-hand-over.ts'
import { put } from './schema-put.ts'
import { fewVersions } from './schema-versions.ts'
import { enqueueFromSql } from './sql-enqueue.ts'

export interface Step {
  readonly name: string
  readonly sql: string
  /**
   * The oldest version of the schema whose code works beside this one: 3 says that code which knows the first three migrations
   * does. Default: the version before. Its own number: no older code does.
   */
  readonly beside?: number
}

const tables = /* sql */ `
-- Store time: of this server, never below the last instant given out. Tests stop it at frozen_at.
CREATE TABLE forgeq.clock (one boolean PRIMARY KEY DEFAULT true CHECK (one), frozen_at bigint);
INSERT INTO forgeq.clock DEFAULT VALUES;
CREATE SEQUENCE forgeq.instant MINVALUE 0 START 0;
-- A sequence is not part of any transaction: an instant that was given out stays given out.
CREATE FUNCTION forgeq.moment() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE wall bigint; seen bigint;
BEGIN
  SELECT coalesce(frozen_at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) INTO wall FROM forgeq.clock;
  SELECT last_value INTO seen FROM forgeq.instant;
  IF wall > seen THEN PERFORM setval('forgeq.instant', wall); END IF;
  RETURN greatest(wall, seen);
END $$;

-- What orders everything: a transaction draws one number and has those up to the next one for itself.
CREATE SEQUENCE forgeq.turn INCREMENT 4096 START 4096 CACHE 1;

-- One row: what the outage guard needs.
CREATE TABLE forgeq.meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), beat_at bigint NOT NULL DEFAULT 0, guard_until bigint NOT NULL DEFAULT 0
);
INSERT INTO forgeq.meta DEFAULT VALUES;

-- limits = what is limited, as JSON (core/limit.ts), NULL when nothing is. has_keys = a job with a key has been here.
CREATE TABLE forgeq.queue (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, paused boolean NOT NULL DEFAULT false,
  accepting boolean NOT NULL DEFAULT true, limits text, has_keys boolean NOT NULL DEFAULT false
);
-- announced = a worker has said what the columns behind it hold.
CREATE TABLE forgeq.type (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, announced boolean NOT NULL DEFAULT false,
  queue text, priority integer, policy text, schema text
);

-- The body. seq is the order of arrival; policy holds what differs from the defaults (store/policy-text.ts); attempt_base
-- counts the tries before the last retry by hand; uniq_for is told in store/unique-hold.ts; edited = the payload may be
-- another than the one it was enqueued with.
CREATE TABLE forgeq.job (
  id uuid PRIMARY KEY, seq bigint NOT NULL, type integer NOT NULL, queue integer NOT NULL, priority integer NOT NULL,
  policy text, attempt_base integer NOT NULL DEFAULT 0, created_at bigint NOT NULL, run_at bigint NOT NULL, expire_at bigint,
  tags text, uniq text COLLATE "C", uniq_for bigint, edited boolean NOT NULL DEFAULT false, key text COLLATE "C", payload text NOT NULL
);

-- Ready and running jobs. lane = priority * 4 + (0 unparked, 1 front, 2 fresh); at = when it became ready. A job that never
-- moved sits at its own seq in the fresh lane of its level, so its place is known without an index; the others are moved.
-- A ready row that has a key is the token of it: the job itself is in line. worker, turn and started_at are those of the
-- claim that runs; settler = the worker that settled the one before and alone may ask again: negative when it was told
-- 'cancelled', 0 after a rescue. No index has a column that a claim changes, and half of a page is left free: a claim
-- stays in its page.
CREATE TABLE forgeq.live (
  queue integer NOT NULL, lane integer NOT NULL, seq bigint NOT NULL, job uuid NOT NULL, type integer NOT NULL,
  at bigint NOT NULL, claim integer NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL, settler integer NOT NULL,
  moved boolean NOT NULL, key text COLLATE "C", worker integer, turn bigint, started_at bigint,
  cancelled boolean NOT NULL DEFAULT false, PRIMARY KEY (queue, lane, seq)
) WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX live_moved ON forgeq.live (job) WHERE moved;
CREATE INDEX live_key ON forgeq.live (queue, key) WHERE key IS NOT NULL;
-- Those that were running in a crash: few, and looked for before all others.
CREATE INDEX live_suspect ON forgeq.live (queue, lane, seq, type) WHERE crashes > 0;

-- Where the jobs that an exchange claimed are, and how many of them still run: what a worker holds is found without an
-- index that every claim would have to change.
CREATE TABLE forgeq.held (
  worker integer NOT NULL, turn bigint NOT NULL, queue integer NOT NULL, lanes integer[] NOT NULL, seqs bigint[] NOT NULL,
  open integer NOT NULL, PRIMARY KEY (worker, turn, queue)
);
-- OFFSET 0 keeps the planner from reading live the other way round.
CREATE VIEW forgeq.running AS
  SELECT h.worker, h.turn, h.queue, l.lane, l.seq, l.job, l.claim, l.attempt, l.crashes, l.started_at
  FROM forgeq.held h CROSS JOIN LATERAL unnest(h.lanes, h.seqs) AS k (lane, seq) CROSS JOIN LATERAL (
    SELECT * FROM forgeq.live l WHERE l.queue = h.queue AND l.lane = k.lane AND l.seq = k.seq AND l.worker = h.worker
      AND l.turn = h.turn OFFSET 0) l;
-- Running jobs that are marked cancelled, for their worker.
CREATE TABLE forgeq.cancel (worker integer NOT NULL, job uuid NOT NULL, claim integer NOT NULL, PRIMARY KEY (worker, job));

-- Ready jobs that met a worker which does not know their type.
CREATE TABLE forgeq.parked (
  queue integer NOT NULL, type integer NOT NULL, lane integer NOT NULL, seq bigint NOT NULL, job uuid NOT NULL UNIQUE,
  at bigint NOT NULL, claim integer NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL, settler integer NOT NULL,
  key text COLLATE "C", PRIMARY KEY (queue, type, lane, seq)
);
CREATE INDEX parked_suspect ON forgeq.parked (queue, type, lane, seq) WHERE crashes > 0;

CREATE TABLE forgeq.later (
  run_at bigint NOT NULL, seq bigint NOT NULL, job uuid NOT NULL UNIQUE, queue integer NOT NULL, claim integer NOT NULL,
  attempt integer NOT NULL, crashes integer NOT NULL, settler integer NOT NULL, PRIMARY KEY (run_at, seq)
);

CREATE TABLE forgeq.done (
  job uuid PRIMARY KEY, state integer NOT NULL, claim integer NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL,
  settler integer NOT NULL, started_at bigint, finished_at bigint NOT NULL, result_until bigint, expires_at bigint NOT NULL,
  reason text, result text
);
CREATE INDEX done_exceptional ON forgeq.done (state, job) WHERE state <> 4;

-- Jobs to prune, one row for each batch that ended together: retention costs no index entry per job.
CREATE TABLE forgeq.expiry (at bigint NOT NULL, seq bigint NOT NULL, jobs uuid[] NOT NULL, PRIMARY KEY (at, seq));
-- Jobs that must have started by a time.
CREATE TABLE forgeq.deadline (at bigint NOT NULL, job uuid NOT NULL, PRIMARY KEY (at, job));

-- A key that is held for a time has until.
CREATE TABLE forgeq.uniq (
  type integer NOT NULL, key text COLLATE "C" NOT NULL, job uuid NOT NULL, until bigint, PRIMARY KEY (type, key)
);
CREATE INDEX uniq_until ON forgeq.uniq (until) WHERE until IS NOT NULL;
-- Enqueues that gave a waiting job other work: sent again, they have the same answer and change nothing.
CREATE TABLE forgeq.replacement (id uuid PRIMARY KEY, type integer NOT NULL, holder uuid NOT NULL, expires_at bigint NOT NULL);
CREATE INDEX replacement_expiry ON forgeq.replacement (expires_at);

-- Claims that ended without completing; a completed one is in done.
CREATE TABLE forgeq.attempt (
  job uuid NOT NULL, claim integer NOT NULL, attempt integer NOT NULL, outcome text NOT NULL, worker integer NOT NULL,
  started_at bigint NOT NULL, ended_at bigint NOT NULL, error text, PRIMARY KEY (job, claim)
);
CREATE TABLE forgeq.progress (job uuid PRIMARY KEY, progress text NOT NULL);
CREATE TABLE forgeq.log (
  job uuid NOT NULL, n integer NOT NULL, at bigint NOT NULL, claim integer NOT NULL, level text NOT NULL, message text NOT NULL,
  PRIMARY KEY (job, n)
);
CREATE TABLE forgeq.log_size (job uuid PRIMARY KEY, lines integer NOT NULL, bytes integer NOT NULL);

-- The lease of a process. turn = its last exchange. Once it is closed and holds nothing it has left (left_at) and stays
-- only as the name that attempts refer to; its number is never given again. ended = how its process did.
CREATE TABLE forgeq.worker (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uid text NOT NULL UNIQUE, host text NOT NULL, pid integer NOT NULL,
  pid_space text, version text NOT NULL, queues text NOT NULL, types integer[] NOT NULL, slots integer NOT NULL,
  lease_ms bigint NOT NULL, started_at bigint NOT NULL, beat_at bigint NOT NULL, expires_at bigint NOT NULL,
  closed boolean NOT NULL DEFAULT false, left_at bigint, turn bigint NOT NULL DEFAULT 0, facts text, ended text
) WITH (fillfactor = 50);
CREATE INDEX worker_present ON forgeq.worker (id) WHERE left_at IS NULL;
CREATE INDEX worker_left ON forgeq.worker (left_at) WHERE left_at IS NOT NULL;

-- How many jobs of a queue are in a state: the sum of the stripes. Transactions that run at a time write to different ones:
-- ours to those below 64.
CREATE TABLE forgeq.tally (
  queue integer NOT NULL, state integer NOT NULL, stripe integer NOT NULL, n bigint NOT NULL, PRIMARY KEY (queue, state, stripe)
) WITH (fillfactor = 50);

-- The ready jobs of each key, in the order in which they start.
CREATE TABLE forgeq.line (
  queue integer NOT NULL, key text COLLATE "C" NOT NULL, lane integer NOT NULL, seq bigint NOT NULL, job uuid NOT NULL UNIQUE,
  type integer NOT NULL, at bigint NOT NULL, claim integer NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL,
  settler integer NOT NULL, moved boolean NOT NULL, PRIMARY KEY (queue, key, lane, seq)
);
CREATE INDEX line_age ON forgeq.line (queue, at);
CREATE INDEX line_type ON forgeq.line (queue, key, type, lane, seq);
-- Which job the others of an ordered key wait for.
CREATE TABLE forgeq.key_turn (
  queue integer NOT NULL, key text COLLATE "C" NOT NULL, job uuid NOT NULL, PRIMARY KEY (queue, key)
);

-- Starts, for rates: what = q for the queue, l5 for a level, kX for key X. total = of all rows up to this one; until = when
-- no window counts it any more.
CREATE TABLE forgeq.start (
  queue integer NOT NULL, what text COLLATE "C" NOT NULL, at bigint NOT NULL, n bigint NOT NULL, total bigint NOT NULL,
  until bigint NOT NULL, PRIMARY KEY (queue, what, at)
);
CREATE INDEX start_until ON forgeq.start (until);
-- What handlers hold back (q, t5 for a type, kX), and when something is to be looked at again (h: the end of a hold of the
-- queue, t5, q, l5, kX; vX: the keys behind X; a7 X: key X, which job number 7 came to from SQL).
CREATE TABLE forgeq.hold (
  queue integer NOT NULL, what text COLLATE "C" NOT NULL, until bigint NOT NULL, PRIMARY KEY (queue, what)
);
CREATE INDEX hold_until ON forgeq.hold (until);
CREATE TABLE forgeq.alarm (
  queue integer NOT NULL, what text COLLATE "C" NOT NULL, at bigint NOT NULL, PRIMARY KEY (queue, what)
);
CREATE INDEX alarm_at ON forgeq.alarm (at);

-- Lets a transaction in to the jobs of a queue, alone or with others, and tells how the queue stands: after the lock is
-- there, which is why this is a function. Advisory locks leave no trace in tables, and end with the transaction.
CREATE FUNCTION forgeq.enter(number integer, alone boolean)
RETURNS TABLE (name text, paused boolean, accepting boolean, limits text, has_keys boolean, holds json, now bigint)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE entered bigint;
BEGIN
  IF alone THEN PERFORM pg_advisory_xact_lock('forgeq.queue'::regclass::oid::integer, number);
  ELSE PERFORM pg_advisory_xact_lock_shared('forgeq.queue'::regclass::oid::integer, number);
  END IF;
  entered := forgeq.moment();
  RETURN QUERY SELECT q.name, q.paused, q.accepting, q.limits, q.has_keys,
    -- Holds of keys come before q in binary order, those of types behind it.
    (SELECT json_agg(json_build_array(h.what, h.until)) FROM forgeq.hold h
      WHERE h.queue = q.id AND h.what >= 'q' AND h.until > entered),
    entered
  FROM forgeq.queue q WHERE q.id = number;
END $$;
`

export const migrations: readonly Step[] = [
  { name: '001 tables', sql: tables },
  { name: '002 enqueue from SQL', sql: enqueueFromSql },
  { name: '003 few versions of a row', sql: fewVersions },
  { name: '004 what must change is counted by the server', sql: expect },
  { name: '005 plain jobs in one trip', sql: `${put}${handOver}` },
]
