// A file of schema version 2 as SQL, with a job in every state, made at `madeAt`. Jobs with a unique key have the name of
// their state as key and payload; `running` is held by worker-1, whose last turn is 7.
export const madeAt = 1_767_225_600_000

export const version2 = /* sql */ `
CREATE TABLE forgeq_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE forgeq_meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL, now INTEGER NOT NULL, beat_at INTEGER NOT NULL, guard_until INTEGER NOT NULL
);
CREATE TABLE forgeq_queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, paused INTEGER NOT NULL DEFAULT 0);
CREATE TABLE forgeq_type (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, announced INTEGER NOT NULL DEFAULT 0,
  queue TEXT, priority INTEGER, policy TEXT, schema TEXT
);
CREATE TABLE forgeq_job (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type INTEGER NOT NULL, queue INTEGER NOT NULL, priority INTEGER NOT NULL,
  policy TEXT, attempt_base INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, run_at INTEGER NOT NULL,
  expire_at INTEGER, tags TEXT, uniq TEXT, payload TEXT NOT NULL
);
CREATE TABLE forgeq_ready (
  queue INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL, type INTEGER NOT NULL,
  at INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (queue, lane, seq)
) WITHOUT ROWID;
CREATE TABLE forgeq_parked (
  queue INTEGER NOT NULL, type INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL UNIQUE,
  at INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (queue, type, lane, seq)
) WITHOUT ROWID;
CREATE TABLE forgeq_later (
  run_at INTEGER NOT NULL, seq INTEGER NOT NULL, job INTEGER NOT NULL,
  claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  PRIMARY KEY (run_at, seq)
) WITHOUT ROWID;
CREATE TABLE forgeq_running (
  job INTEGER PRIMARY KEY, worker INTEGER NOT NULL, claim INTEGER NOT NULL, turn INTEGER NOT NULL, queue INTEGER NOT NULL,
  lane INTEGER NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, settler INTEGER NOT NULL,
  started_at INTEGER NOT NULL, keep_ms INTEGER NOT NULL, uniq INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE forgeq_done (
  job INTEGER PRIMARY KEY, state INTEGER NOT NULL, claim INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL,
  settler INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER NOT NULL, result_until INTEGER, expires_at INTEGER NOT NULL,
  reason TEXT, result TEXT
);
CREATE TABLE forgeq_expiry (at INTEGER NOT NULL, seq INTEGER NOT NULL, jobs TEXT NOT NULL, PRIMARY KEY (at, seq)) WITHOUT ROWID;
CREATE TABLE forgeq_deadline (at INTEGER NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (at, job)) WITHOUT ROWID;
CREATE TABLE forgeq_uniq (type INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (type, key)) WITHOUT ROWID;
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
CREATE TABLE forgeq_worker (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, host TEXT NOT NULL, pid INTEGER NOT NULL, pid_space TEXT, version TEXT NOT NULL,
  queues TEXT NOT NULL, types TEXT NOT NULL, slots INTEGER NOT NULL, lease_ms INTEGER NOT NULL, started_at INTEGER NOT NULL,
  beat_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0,
  left_at INTEGER, turn INTEGER NOT NULL DEFAULT 0, facts TEXT, ended TEXT
);
CREATE TABLE forgeq_tally (queue INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (queue, state)) WITHOUT ROWID;
CREATE INDEX forgeq_ready_moved ON forgeq_ready (job) WHERE seq <> job;
CREATE INDEX forgeq_ready_suspect ON forgeq_ready (queue, lane, seq, type) WHERE crashes > 0;
CREATE INDEX forgeq_parked_suspect ON forgeq_parked (queue, type, lane, seq) WHERE crashes > 0;
CREATE INDEX forgeq_later_moved ON forgeq_later (job) WHERE seq <> job;
CREATE INDEX forgeq_running_cancelled ON forgeq_running (worker) WHERE cancelled;
CREATE INDEX forgeq_running_suspect ON forgeq_running (worker) WHERE crashes > 0;
CREATE INDEX forgeq_done_exceptional ON forgeq_done (state, job) WHERE state <> 4;
CREATE INDEX forgeq_worker_present ON forgeq_worker (expires_at) WHERE left_at IS NULL;
CREATE INDEX forgeq_worker_left ON forgeq_worker (left_at) WHERE left_at IS NOT NULL;
CREATE VIEW forgeq_enqueue (type, payload, id, queue, priority, delay_ms, max_attempts, timeout_ms, unique_key) AS
  SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0;
CREATE TRIGGER forgeq_enqueue_insert INSTEAD OF INSERT ON forgeq_enqueue BEGIN
  SELECT RAISE(ABORT, 'forgeq: type must be 1 to 128 of A-Z a-z 0-9 _ . : / -') WHERE NEW.type IS NULL OR NEW.type IS NOT NULL AND (typeof(NEW.type) <> 'text' OR length(NEW.type) NOT BETWEEN 1 AND 128 OR NEW.type GLOB '*[^A-Za-z0-9_.:/-]*' OR instr(NEW.type, char(0)));
  SELECT RAISE(ABORT, 'forgeq: queue must be 1 to 128 of A-Z a-z 0-9 _ . : / -') WHERE NEW.queue IS NOT NULL AND (typeof(NEW.queue) <> 'text' OR length(NEW.queue) NOT BETWEEN 1 AND 128 OR NEW.queue GLOB '*[^A-Za-z0-9_.:/-]*' OR instr(NEW.queue, char(0)));
  SELECT RAISE(ABORT, 'forgeq: payload must be JSON text of at most 1 MiB') WHERE typeof(NEW.payload) NOT IN ('text', 'null') OR NOT json_valid(coalesce(NEW.payload, 'null'))
      OR length(CAST(NEW.payload AS BLOB)) > 1048576 OR instr(NEW.payload, char(0));
  SELECT RAISE(ABORT, 'forgeq: payload must be nested at most 64 levels deep') WHERE length(NEW.payload) - length(replace(replace(NEW.payload, '[', ''), '{', '')) > 64 AND EXISTS (
    WITH RECURSIVE
      node (id, parent) AS MATERIALIZED (
        SELECT id, parent FROM json_tree(NEW.payload) WHERE type IN ('array', 'object')),
      level (id, depth) AS (
        SELECT id, 1 FROM node WHERE parent IS NULL
        UNION ALL SELECT node.id, depth + 1 FROM level JOIN node ON node.parent = level.id WHERE depth <= 64)
    SELECT 1 FROM level WHERE depth > 64);
  SELECT RAISE(ABORT, 'forgeq: priority must be a whole number from 0 to 9') WHERE typeof(NEW.priority) NOT IN ('integer', 'null') OR NEW.priority NOT BETWEEN 0 AND 9;
  SELECT RAISE(ABORT, 'forgeq: delay_ms and timeout_ms must be whole numbers, not negative and at most ten years') WHERE typeof(NEW.delay_ms) NOT IN ('integer', 'null') OR typeof(NEW.timeout_ms) NOT IN ('integer', 'null') OR NEW.delay_ms NOT BETWEEN 0 AND 315360000000
      OR NEW.timeout_ms NOT BETWEEN 0 AND 315360000000;
  SELECT RAISE(ABORT, 'forgeq: max_attempts must be a whole number from 1 to 10001') WHERE typeof(NEW.max_attempts) NOT IN ('integer', 'null') OR NEW.max_attempts NOT BETWEEN 1 AND 10001;
  SELECT RAISE(ABORT, 'forgeq: unique_key must be a text of 1 to 256 characters') WHERE NEW.unique_key IS NOT NULL AND (typeof(NEW.unique_key) <> 'text' OR length(NEW.unique_key) NOT BETWEEN 1 AND 256
      OR instr(NEW.unique_key, char(0)));
  SELECT RAISE(ABORT, 'forgeq: id must be a UUIDv7 in lower case, made within a day') WHERE NEW.id IS NOT NULL AND (NEW.id NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-7[0-9a-f][0-9a-f][0-9a-f]-[89ab][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]' OR substr(NEW.id, 1, 8) || substr(NEW.id, 10, 4)
      NOT BETWEEN printf('%012x', CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) - 86400000) AND printf('%012x', CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) + 86400000))
      AND NOT EXISTS (SELECT 1 FROM forgeq_job WHERE id = NEW.id);
  SELECT RAISE(ABORT, 'forgeq: this id belongs to a job with another type or payload') WHERE EXISTS (SELECT 1 FROM forgeq_job j JOIN forgeq_type t ON t.id = j.type WHERE j.id = NEW.id
      AND (t.name <> NEW.type OR j.payload <> coalesce(NEW.payload, 'null')));
  -- The same id, or a unique key that is held, is a duplicate: nothing to do.
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM forgeq_job WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM forgeq_uniq u JOIN forgeq_type t ON t.id = u.type WHERE t.name = NEW.type AND u.key = NEW.unique_key);
  INSERT INTO forgeq_type (name) VALUES (NEW.type) ON CONFLICT DO NOTHING;
  INSERT INTO forgeq_queue (name)
    SELECT coalesce(NEW.queue, queue, 'default') FROM forgeq_type WHERE name = NEW.type ON CONFLICT DO NOTHING;
  UPDATE forgeq_meta SET seq = seq + 1, now = max(now, CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER));
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
    SELECT j.queue, CASE WHEN j.run_at > j.created_at THEN 0 ELSE 2 END, 1
    FROM forgeq_job j, forgeq_meta m WHERE j.seq = m.seq
    ON CONFLICT (queue, state) DO UPDATE SET n = n + 1;
END;
INSERT INTO forgeq_migration (version, name, at) VALUES
  (1, '001 tables', 1767225600000),
  (2, '002 enqueue view', 1767225600000);
INSERT INTO forgeq_meta (one, seq, now, beat_at, guard_until) VALUES
  (1, 13, 1767225600000, 1767225600000, 0);
INSERT INTO forgeq_queue (id, name, paused) VALUES
  (1, 'default', 0),
  (2, 'busy', 0);
INSERT INTO forgeq_type (id, name, announced, queue, priority, policy, schema) VALUES
  (1, 'work', 1, 'default', 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', NULL),
  (2, 'other', 1, 'default', 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', NULL);
INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, attempt_base, created_at, run_at, expire_at, tags, uniq, payload) VALUES
  (1, '019b76da-a800-718e-b741-a3893d5f5e86', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'completed', '"completed"'),
  (3, '019b76da-a800-718f-af70-b8f86c3b9fdf', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'dead', '"dead"'),
  (5, '019b76da-a800-7190-9be5-48e2eaf01a14', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'retried', '"retried"'),
  (7, '019b76da-a800-7191-8282-5723212eeb16', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'cancelled', '"cancelled"'),
  (9, '019b76da-a800-7192-beca-11d87cbd8d94', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'parked', '"parked"'),
  (10, '019b76da-a800-7193-bec3-6ea858c7d4a4', 1, 2, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, 'running', '"running"'),
  (11, '019b76da-a800-7194-8f4b-ae58f7b19170', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, 1767225720000, '["a"]', 'ready', '"ready"'),
  (12, '019b76da-a800-7195-8272-33e607bfb86b', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225630000, NULL, NULL, 'scheduled', '"scheduled"'),
  (13, '019b76da-a800-7196-bc9d-c66d8caa9170', 1, 1, 5, '{"backoff":{"type":"fixed","delayMs":1000,"jitter":false}}', 0, 1767225600000, 1767225600000, NULL, NULL, NULL, '"plain"');
INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler) VALUES
  (1, 22, 11, 11, 1, 1767225600000, 0, 1, 0, 0),
  (1, 22, 13, 13, 1, 1767225600000, 0, 1, 0, 0);
INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler) VALUES
  (1, 1, 22, 9, 9, 1767225600000, 0, 1, 0, 0);
INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler) VALUES
  (1767225630000, 12, 12, 0, 1, 0, 0),
  (1767225660000, 6, 5, 1, 2, 0, 1);
INSERT INTO forgeq_running (job, worker, claim, turn, queue, lane, seq, attempt, crashes, settler, started_at, keep_ms, uniq, cancelled) VALUES
  (10, 1, 1, 7, 2, 22, 10, 1, 0, 0, 1767225600000, 3600000, 1, 0);
INSERT INTO forgeq_done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result) VALUES
  (1, 4, 1, 1, 0, 1, 1767225600000, 1767225600000, 1767229200000, 1767229200000, NULL, '1'),
  (3, 5, 1, 1, 0, 1, 1767225600000, 1767225600000, NULL, 1769817600000, 'exhausted', NULL),
  (7, 6, 0, 1, 0, 0, NULL, 1767225600000, NULL, 1767312000000, 'cancelled', NULL);
INSERT INTO forgeq_expiry (at, seq, jobs) VALUES
  (1767229200000, 2, '[1]'),
  (1767312000000, 8, '[7]'),
  (1769817600000, 4, '[3]');
INSERT INTO forgeq_deadline (at, job) VALUES
  (1767225720000, 11);
INSERT INTO forgeq_uniq (type, key, job) VALUES
  (1, 'parked', 9),
  (1, 'ready', 11),
  (1, 'retried', 5),
  (1, 'running', 10),
  (1, 'scheduled', 12);
INSERT INTO forgeq_attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error) VALUES
  (3, 1, 1, 'bury', 1, 1767225600000, 1767225600000, '{"code":"HANDLER_ERROR","name":"Error","message":"boom"}'),
  (5, 1, 1, 'retry', 1, 1767225600000, 1767225600000, '{"code":"HANDLER_ERROR","name":"Error","message":"boom"}');
INSERT INTO forgeq_worker (id, uid, host, pid, pid_space, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at, closed, left_at, turn, facts, ended) VALUES
  (1, 'worker-1', 'host', 1, NULL, '1.0.0', '["default"]', '[1]', 100, 15000, 1767225600000, 1767225600000, 1767225615000, 0, NULL, 7, NULL, NULL),
  (2, 'worker-2', 'host', 1, NULL, '1.0.0', '["default"]', '[2]', 100, 15000, 1767225600000, 1767225600000, 1767225615000, 0, NULL, 1, NULL, NULL);
INSERT INTO forgeq_tally (queue, state, n) VALUES
  (1, 0, 2),
  (1, 2, 3),
  (1, 3, 0),
  (1, 4, 1),
  (1, 5, 1),
  (1, 6, 1),
  (2, 2, 0),
  (2, 3, 1);
`
