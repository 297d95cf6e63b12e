// Any language enqueues with an INSERT into this view, in its own transaction. The trigger does what enqueue.ts does. It is
// made anew whenever a file is migrated: a change of its text needs a step, if only an empty one (schema.ts).
import { stateCodes } from '../store/state-codes.ts'

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
    'key must be a text of 1 to 256 characters',
    `NEW.key IS NOT NULL AND (typeof(NEW.key) <> 'text' OR length(NEW.key) NOT BETWEEN 1 AND 256 OR instr(NEW.key, char(0)))`,
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
      AND (t.name <> NEW.type OR (NOT j.edited AND j.payload <> coalesce(NEW.payload, 'null'))))`,
  ),
].join('\n  ')

/** Of the queue that the job is for. */
const queueHas = (fault: string): string =>
  `EXISTS (SELECT 1 FROM forgeq_queue q WHERE ${fault}
    AND q.name = coalesce(NEW.queue, (SELECT queue FROM forgeq_type WHERE name = NEW.type), 'default'))`
const waiting = [stateCodes.ready, stateCodes.scheduled, stateCodes.blocked].join(', ')

// Behind the answers to duplicates: also a full queue knows the jobs that it has.
const doorOfQueue = [
  refuse('the queue takes no new jobs', queueHas('NOT q.accepting')),
  refuse(
    'the queue is full',
    queueHas(`q.limits ->> '$.maxDepth' <=
      (SELECT coalesce(sum(n), 0) FROM forgeq_tally WHERE queue = q.id AND state IN (${waiting}))`),
  ),
].join('\n  ')

/** Before the tables change below it. */
export const dropEnqueueView: string = /* sql */ `DROP VIEW IF EXISTS forgeq_enqueue`

export const makeEnqueueView: string = /* sql */ `
CREATE VIEW forgeq_enqueue (type, payload, id, queue, priority, delay_ms, max_attempts, timeout_ms, unique_key, key) AS
  SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0;
CREATE TRIGGER forgeq_enqueue_insert INSTEAD OF INSERT ON forgeq_enqueue BEGIN
  ${doorOfView}
  -- The same id, or a unique key that is held, is a duplicate: nothing to do.
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM forgeq_job WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM forgeq_uniq u JOIN forgeq_type t ON t.id = u.type WHERE t.name = NEW.type AND u.key = NEW.unique_key
      AND (u.until IS NULL OR u.until > (SELECT max(now, ${nowMs}) FROM forgeq_meta)));
  ${doorOfQueue}
  INSERT INTO forgeq_type (name) VALUES (NEW.type) ON CONFLICT DO NOTHING;
  INSERT INTO forgeq_queue (name)
    SELECT coalesce(NEW.queue, queue, 'default') FROM forgeq_type WHERE name = NEW.type ON CONFLICT DO NOTHING;
  UPDATE forgeq_meta SET seq = seq + 1, now = max(now, ${nowMs});
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, created_at, run_at, uniq, key, payload)
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
      m.now, m.now + coalesce(NEW.delay_ms, 0), NEW.unique_key, NEW.key, coalesce(NEW.payload, 'null')
    FROM forgeq_meta m, forgeq_type t JOIN forgeq_queue q ON q.name = coalesce(NEW.queue, t.queue, 'default')
    WHERE t.name = NEW.type;
  INSERT INTO forgeq_uniq (type, key, job)
    SELECT j.type, j.uniq, j.seq FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.uniq IS NOT NULL
    ON CONFLICT (type, key) DO UPDATE SET job = excluded.job, until = NULL, id = NULL;
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler)
    SELECT j.queue, j.priority * 4 + 2, j.seq, j.seq, j.type, j.created_at, 0, 1, 0, 0
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.run_at <= j.created_at AND j.key IS NULL;
  INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler)
    SELECT j.run_at, j.seq, j.seq, 0, 1, 0, 0 FROM forgeq_job j, forgeq_meta m
    WHERE j.seq = m.seq AND j.run_at > j.created_at;
  -- Its place in the lanes it gets from whoever promotes next.
  INSERT INTO forgeq_line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler)
    SELECT j.queue, j.key, j.priority * 4 + 2, j.seq, j.seq, j.type, j.created_at, 0, 1, 0, 0
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.run_at <= j.created_at AND j.key IS NOT NULL;
  INSERT INTO forgeq_alarm (queue, what, at)
    SELECT j.queue, 'k' || j.key, j.created_at
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq AND j.run_at <= j.created_at AND j.key IS NOT NULL
    ON CONFLICT (queue, what) DO UPDATE SET at = excluded.at;
  INSERT INTO forgeq_tally (queue, state, n)
    SELECT j.queue, CASE WHEN j.run_at > j.created_at THEN ${stateCodes.scheduled} ELSE ${stateCodes.ready} END, 1
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq
    ON CONFLICT (queue, state) DO UPDATE SET n = n + 1;
END;
`
