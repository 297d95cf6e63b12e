// Enqueues from SQL: functions for any language, for triggers, inside a transaction of somebody else. They do what
// enqueue.ts does, but such a transaction may stay open for long: so they lock a queue only where that must be, and add rows
// to the tally and to the alarms where ours change rows that they share.
import { caps, defaults } from '../core/caps.ts'
import { freshLane, laneOf } from '../store/lanes.ts'
import { stateCodes } from '../store/state-codes.ts'
import { optionFunctions } from './sql-options.ts'

const { scheduled, blocked, ready } = stateCodes
const fresh = laneOf(0, freshLane)
const perLevel = laneOf(1, 0)

// Plans must depend neither on the caller's settings nor on what the server believes about tables (connect.ts).
const settings = /* sql */ `VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off`

const enqueueOne = /* sql */ `
CREATE FUNCTION forgeq.enqueue(type text, payload text DEFAULT 'null', options jsonb DEFAULT '{}') RETURNS uuid
LANGUAGE plpgsql ${settings} AS $$
#variable_conflict use_column
DECLARE
  given jsonb := forgeq.read_options(enqueue.options);
  body text := coalesce(enqueue.payload, 'null');
  moment bigint := forgeq.moment();
  number bigint := nextval('forgeq.turn');
  starts bigint := greatest(moment, moment + forgeq.read_ms(given -> 'delay', 'delay'),
    forgeq.read_instant(given -> 'at', 'at'));
  ends bigint := moment + forgeq.read_ms(given -> 'expire', 'expire');
  party text := forgeq.read_text(given -> 'key', 'key', ${caps.keyLength});
  labels text := forgeq.read_tags(given -> 'tags');
  level integer;
  settled text;
  queue_name text;
  new_id uuid := given ->> 'id';
  hold record;
  kind forgeq.type;
  into_queue forgeq.queue;
  most bigint;
  counted text;
  waiting bigint;
  stripe bigint := number;
  other record;
BEGIN
  PERFORM forgeq.check_name(enqueue.type, 'type');
  PERFORM forgeq.check_payload(body);
  SELECT * INTO hold FROM forgeq.read_unique(given -> 'unique');

  -- Names that others make at the same time are waited for.
  LOOP
    SELECT * INTO kind FROM forgeq.type WHERE name = enqueue.type;
    EXIT WHEN FOUND;
    INSERT INTO forgeq.type (name) VALUES (enqueue.type) ON CONFLICT (name) DO NOTHING;
  END LOOP;
  level := coalesce(forgeq.read_priority(given -> 'priority'), kind.priority, ${defaults.priority});
  settled := forgeq.policy_text(given, kind.policy);
  queue_name := coalesce(given ->> 'queue', kind.queue, '${defaults.queue}');
  LOOP
    SELECT * INTO into_queue FROM forgeq.queue WHERE name = queue_name;
    EXIT WHEN FOUND;
    INSERT INTO forgeq.queue (name) VALUES (queue_name) ON CONFLICT (name) DO NOTHING;
  END LOOP;

  -- A depth is exact, and a queue gets its first key, only while nobody else is in the queue: until this transaction ends.
  IF into_queue.limits::json ->> 'maxDepth' IS NOT NULL OR (party IS NOT NULL AND NOT into_queue.has_keys) THEN
    PERFORM forgeq.enter(into_queue.id, true);
    SELECT * INTO into_queue FROM forgeq.queue WHERE id = into_queue.id;
    IF party IS NOT NULL AND NOT into_queue.has_keys THEN
      UPDATE forgeq.queue SET has_keys = true WHERE id = into_queue.id;
    END IF;
    most := into_queue.limits::json ->> 'maxDepth';
  END IF;
  IF most IS NOT NULL THEN
    IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
      PERFORM forgeq.refuse('UNSUPPORTED', 'queue ' || queue_name || ' has a maxDepth, which a transaction with a snapshot'
        || ' of its own cannot keep', 'Enqueue in a transaction that is READ COMMITTED.');
    END IF;
    -- Counted once in a transaction, for nobody interferes with it: each call would read what all before it wrote. And alone
    -- in the queue the first one may write to a row that others share.
    counted := 'forgeq_waiting.q' || 'forgeq.queue'::regclass::oid || '_' || into_queue.id;
    waiting := nullif(current_setting(counted, true), '');
    IF waiting IS NULL THEN
      SELECT coalesce(sum(n), 0) INTO waiting FROM forgeq.tally
      WHERE queue = into_queue.id AND state IN (${scheduled}, ${blocked}, ${ready});
      stripe := pg_backend_pid() % 64;
    END IF;
  END IF;

  -- Again when another transaction took the id or the unique key between the look and the insert, which waits for it.
  LOOP
    IF given ? 'id' THEN
      SELECT j.type, j.payload, j.edited INTO other FROM forgeq.job j WHERE j.id = new_id;
      IF FOUND THEN
        IF other.type = kind.id AND (other.edited OR other.payload = body) THEN RETURN new_id; END IF;
        PERFORM forgeq.refuse('ID_CONFLICT', 'job ' || new_id || ' exists with another type or payload',
          'Make a new id for a new job.');
      END IF;
      IF abs(('x' || left(replace(new_id::text, '-', ''), 12))::bit(48)::bigint - moment) > ${caps.idDriftMs} THEN
        PERFORM forgeq.refuse('INVALID_ID', 'id ' || new_id || ' was not made within a day of the store''s time',
          'Make a new one, or leave it out.');
      END IF;
    ELSE
      -- The counter of RFC 9562 goes on with the calls, so that later jobs have later ids.
      new_id := (lpad(to_hex(moment), 12, '0') || '7' || lpad(to_hex(number / 4096 % 4096), 3, '0')
        || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid;
    END IF;
    IF hold.held IS NOT NULL THEN
      SELECT u.job INTO other FROM forgeq.uniq u
      WHERE u.type = kind.id AND u.key = hold.held AND (u.until IS NULL OR u.until > moment);
      IF FOUND AND hold.conflict = 'keep' THEN RETURN other.job; END IF;
      IF FOUND THEN
        PERFORM forgeq.refuse('UNIQUE_CONFLICT', 'job ' || other.job || ' holds the unique key',
          'Wait for it or cancel it, or leave out onConflict to get its id.');
      END IF;
    END IF;
    IF NOT into_queue.accepting THEN
      PERFORM forgeq.refuse('QUEUE_CLOSED', 'queue ' || queue_name || ' takes no new jobs',
        'It is opened by: forgeq queues limit ' || queue_name || ' --accepting');
    END IF;
    IF waiting >= most THEN
      PERFORM forgeq.refuse('QUEUE_FULL', 'queue ' || queue_name || ' has ' || most || ' jobs waiting, as many as it may',
        'Try again later.');
    END IF;
    IF hold.held IS NOT NULL THEN
      -- Whoever holds it beyond its time does not hold it.
      INSERT INTO forgeq.uniq (type, key, job, until)
      VALUES (kind.id, hold.held, new_id, CASE WHEN hold.held_for > 0 THEN moment + hold.held_for END)
      ON CONFLICT (type, key) DO UPDATE SET job = excluded.job, until = excluded.until WHERE uniq.until <= moment;
      CONTINUE WHEN NOT FOUND;
    END IF;
    INSERT INTO forgeq.job
      (id, seq, type, queue, priority, policy, created_at, run_at, expire_at, tags, uniq, uniq_for, key, payload)
    VALUES (new_id, number, kind.id, into_queue.id, level, settled, moment, starts, ends, labels, hold.held, hold.held_for, party, body)
    ON CONFLICT (id) DO NOTHING;
    EXIT WHEN FOUND;
    IF hold.held IS NOT NULL THEN
      RAISE serialization_failure USING MESSAGE = 'forgeq: job ' || new_id || ' was stored by another transaction at the same time',
        HINT = 'Run the transaction again.';
    END IF;
  END LOOP;

  IF ends IS NOT NULL THEN INSERT INTO forgeq.deadline (at, job) VALUES (ends, new_id); END IF;
  IF starts > moment THEN
    INSERT INTO forgeq.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
    VALUES (starts, number, new_id, into_queue.id, 0, 1, 0, 0);
  ELSIF party IS NULL THEN
    INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
    VALUES (into_queue.id, level * ${perLevel} + ${fresh}, number, new_id, kind.id, moment, 0, 1, 0, 0, false);
  ELSE
    INSERT INTO forgeq.line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
    VALUES (into_queue.id, party, level * ${perLevel} + ${fresh}, number, new_id, kind.id, moment, 0, 1, 0, 0, false);
    -- Its key gets a token from whoever promotes next.
    INSERT INTO forgeq.alarm (queue, what, at) VALUES (into_queue.id, 'a' || number || ' ' || party, moment);
  END IF;
  INSERT INTO forgeq.tally (queue, state, stripe, n)
  VALUES (into_queue.id, CASE WHEN starts > moment THEN ${scheduled} ELSE ${ready} END, stripe, 1)
  ON CONFLICT (queue, state, stripe) DO UPDATE SET n = tally.n + 1;
  IF most IS NOT NULL THEN PERFORM set_config(counted, (waiting + 1)::text, true); END IF;
  RETURN new_id;
END $$;
`

const enqueueMany = /* sql */ `
CREATE FUNCTION forgeq.enqueue_many(jobs text) RETURNS SETOF uuid LANGUAGE plpgsql ${settings} AS $$
DECLARE
  job json;
  place integer := -1;
  message text;
  detail text;
  hint text;
BEGIN
  BEGIN
    IF json_typeof(jobs::json) <> 'array' OR jobs IS NULL THEN
      PERFORM forgeq.refuse('INVALID_OPTION', 'jobs must be a list', 'Write [{"type": "mail", "payload": {}, "options": {}}].');
    END IF;
  EXCEPTION WHEN invalid_text_representation THEN
    PERFORM forgeq.refuse('INVALID_JSON', 'jobs must be JSON', 'Write [{"type": "mail", "payload": {}, "options": {}}].');
  END;
  FOR job IN SELECT * FROM json_array_elements(jobs::json) LOOP
    place := place + 1;
    IF json_typeof(job) <> 'object' THEN
      PERFORM forgeq.refuse('INVALID_OPTION', 'must be an object', 'Write {"type": "mail", "payload": {}, "options": {}}.');
    END IF;
    PERFORM forgeq.check_members(jsonb_object_agg(k, true), '{type,payload,options}', '') FROM json_object_keys(job) AS k;
    RETURN NEXT forgeq.enqueue(job ->> 'type', (job -> 'payload')::text, (job -> 'options')::jsonb);
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  IF place < 0 OR message NOT LIKE 'forgeq: %' THEN RAISE; END IF;
  RAISE EXCEPTION USING MESSAGE = 'forgeq: [' || place || ']: ' || substr(message, 9), DETAIL = detail, HINT = hint,
    ERRCODE = SQLSTATE;
END $$;
`

/** A text without a type, as in a literal, goes to the functions that take text: what is written stays as it is written. */
const otherTypes = ['json', 'jsonb']
  .map(
    (type) => /* sql */ `
CREATE FUNCTION forgeq.enqueue(type text, payload ${type}, options jsonb DEFAULT '{}') RETURNS uuid
LANGUAGE sql AS $$ SELECT forgeq.enqueue($1, $2::text, $3) $$;
CREATE FUNCTION forgeq.enqueue_many(jobs ${type}) RETURNS SETOF uuid
LANGUAGE sql AS $$ SELECT forgeq.enqueue_many($1::text) $$;`,
  )
  .join('')

// A row of the tally that others share would be locked until a foreign transaction ends: their rows are under the sequence
// number of a job.
export const enqueueFromSql: string = /* sql */ `
ALTER TABLE forgeq.tally ALTER COLUMN stripe TYPE bigint;
CREATE INDEX tally_single ON forgeq.tally (stripe) WHERE stripe >= 64;
${optionFunctions}${enqueueOne}${enqueueMany}${otherTypes}`
