// An exchange in which nothing is out of the ordinary, in one statement, with which begin and commit go: a trip to the
// server where the long way takes two (hand-over.ts). It does what exchange.ts does for jobs that complete or are tried again later and have neither keys nor unique
// keys, in queues that are open to all, while there are no suspects and nothing is parked. Anything else it refuses by an answer
// without rows, having written nothing but a lease that ran out while it waited.
import { byteLimit } from '../store/handout.ts'
import { stateCodes } from '../store/state-codes.ts'
import { rememberMs } from '../core/retention.ts'
import { untilStart } from '../store/unique-hold.ts'
import { firstDue } from './due.ts'
import { inSegment } from './heads.ts'
import { countDown } from './held.ts'
import { cancelsOf } from './news.ts'
import { rarityColumns } from './suspects.ts'
import { stripeHere } from './tally.ts'

/** A wait that ends the short way. */
const longWaitMs = 1_000
const { scheduled, ready, running, completed } = stateCodes

// What it settles, in columns (`their_`): jobs, where they run, under which claim of which turn, how long they
// are kept, results; `their_delays` and `their_errors` of those that are tried again, NULL of those that have completed.
// What it wants: `queues`, from each at most `most`, `slots` in all, from these segments of lanes. `entered`: all queues, in the one
// order in which all enter them. The first row of the answer has no job: it tells what every answer tells.
export const handOver: string = /* sql */ `
CREATE FUNCTION forgeq.hand_over(uid text, number bigint, entered integer[],
  their_jobs uuid[], their_queues integer[], their_lanes integer[], their_seqs bigint[], their_claims integer[], their_turns bigint[],
  their_keeps bigint[], their_results text[], their_delays bigint[], their_errors text[],
  queues integer[], most integer[], slots integer, part_queues integer[], firsts integer[], afters bigint[], lasts integer[],
  due_after bigint)
RETURNS TABLE (of_queue integer, lane integer, seq bigint, id uuid, type text, claim integer, attempt integer, payload text,
  created_at bigint, policy text, attempt_base integer, is_unique boolean, now bigint, due bigint, cancelled json, is_cut boolean)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  me record;
  began bigint;
  moment bigint;
  first_seq bigint;
  places tid[];
  s_jobs uuid[];
  s_claims integer[];
  s_attempts integer[];
  s_starts bigint[];
  s_keeps bigint[];
  s_results text[];
  s_delays bigint[];
  s_errors text[];
  s_queues integer[];
  n_open integer;
  n integer := cardinality(their_jobs);
  gone integer;
  spots tid[];
  c_queues integer[];
  c_lanes integer[];
  c_seqs bigint[];
  c_jobs uuid[];
  c_types text[];
  c_claims integer[];
  c_attempts integer[];
  c_payloads text[];
  c_created bigint[];
  c_policies text[];
  c_bases integer[];
  c_unique boolean[];
  is_plain boolean;
  cut_short boolean;
BEGIN
  -- What goes before it in the same transaction may have waited, too.
  began := coalesce(nullif(current_setting('forgeq_call.began', true), '')::bigint, forgeq.moment());
  SELECT w.id, w.types, w.lease_ms, w.expires_at INTO me FROM forgeq.worker w WHERE w.uid = hand_over.uid AND NOT w.closed FOR KEY SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT count(*) INTO n_open FROM unnest(entered) AS e CROSS JOIN LATERAL forgeq.enter(e, false) AS q
  WHERE NOT q.paused AND q.limits IS NULL AND NOT q.has_keys AND q.holds IS NULL;
  moment := forgeq.moment();
  -- Nobody closed it while it waited, whether or not somebody beat for it: when its lease ran out meanwhile, it has a new one.
  IF me.expires_at > began AND me.expires_at <= moment THEN
    UPDATE forgeq.worker SET expires_at = greatest(expires_at, moment + me.lease_ms) WHERE id = me.id;
  END IF;
  -- Who had to wait may be dead by now, and its commit is on its way: what asks in between goes on.
  IF n_open < cardinality(entered) OR moment - began > ${longWaitMs} THEN RETURN; END IF;
  IF (SELECT r.suspects OR r.parked FROM (SELECT ${rarityColumns}) r)
    OR EXISTS (SELECT 1 FROM forgeq.exchange e WHERE e.worker = me.id AND e.turn >= hand_over.number OFFSET 0) THEN
    RETURN;
  END IF;

  IF n > 0 THEN
    SELECT array_agg(r.ctid), array_agg(k.job), array_agg(k.claim), array_agg(r.attempt), array_agg(r.started_at), array_agg(k.keep),
      array_agg(k.result), array_agg(k.delay), array_agg(k.error), array_agg(k.queue)
    INTO places, s_jobs, s_claims, s_attempts, s_starts, s_keeps, s_results, s_delays, s_errors, s_queues
    FROM unnest(their_jobs, their_queues, their_lanes, their_seqs, their_claims, their_turns, their_keeps, their_results, their_delays,
      their_errors) AS k (job, queue, lane, seq, claim, turn, keep, result, delay, error) CROSS JOIN LATERAL (
      SELECT ctid, attempt, started_at FROM forgeq.live l WHERE l.queue = k.queue AND l.lane = k.lane AND l.seq = k.seq AND l.job = k.job
        AND l.worker = me.id AND l.claim = k.claim AND l.turn = k.turn AND l.crashes = 0 AND l.key IS NULL AND NOT l.cancelled OFFSET 0) r;
    IF places IS NULL OR cardinality(places) < n THEN RETURN; END IF;
  END IF;

  IF slots > 0 THEN
    -- What is locked and not claimed others would pass over: undone, it is free at once.
    BEGIN
      SELECT array_agg(s.spot), array_agg(s.queue), array_agg(s.lane), array_agg(s.seq), array_agg(s.job),
        array_agg((SELECT t.name FROM forgeq.type t WHERE t.id = s.type)),
        array_agg(s.claim + 1), array_agg(s.attempt), array_agg(s.payload), array_agg(s.created_at), array_agg(s.policy),
        array_agg(s.attempt_base), array_agg(s.uniq IS NOT NULL),
        bool_and(s.key IS NULL AND s.crashes = 0 AND s.type = ANY (me.types) AND (s.claim > 0 OR s.expire_at IS NULL)
          AND s.uniq_for IS DISTINCT FROM ${untilStart}), sum(octet_length(s.payload)) >= ${byteLimit}
      INTO spots, c_queues, c_lanes, c_seqs, c_jobs, c_types, c_claims, c_attempts, c_payloads, c_created, c_policies, c_bases, c_unique,
        is_plain, cut_short
      FROM (
        SELECT h.*, j.payload, j.created_at, j.expire_at, j.policy, j.attempt_base, j.uniq, j.uniq_for,
          sum(octet_length(j.payload)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(j.payload) AS before
        FROM (
          SELECT l.* FROM unnest(queues, most) AS w (queue, most) CROSS JOIN LATERAL (
            SELECT p.* FROM unnest(part_queues, firsts, afters, lasts) AS s (queue, first, after, last) CROSS JOIN LATERAL (
              SELECT ctid AS spot, queue, lane, seq, job, type, claim, attempt, crashes, key FROM forgeq.live
              WHERE queue = w.queue AND ${inSegment} AND worker IS NULL
              ORDER BY queue, lane, seq LIMIT w.most FOR UPDATE SKIP LOCKED) p
            WHERE s.queue = w.queue LIMIT w.most) l
          LIMIT slots) h
        CROSS JOIN LATERAL (SELECT * FROM forgeq.job WHERE id = h.job OFFSET 0) j) s
      WHERE s.before < ${byteLimit};
      IF NOT is_plain THEN RAISE SQLSTATE 'FQ001'; END IF;
    EXCEPTION WHEN SQLSTATE 'FQ001' THEN
      RETURN;
    END;
  END IF;
  moment := forgeq.moment();

  -- From here on it writes.
  INSERT INTO forgeq.exchange (worker, turn) VALUES (me.id, hand_over.number);
  DELETE FROM forgeq.exchange WHERE worker = me.id AND turn = (
    SELECT e.turn FROM forgeq.exchange e WHERE e.worker = me.id AND e.turn < hand_over.number ORDER BY e.turn DESC LIMIT 1);
  IF n > 0 THEN
    DELETE FROM forgeq.live WHERE ctid = ANY (places);
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM forgeq.expect(gone, n);
    INSERT INTO forgeq.done
      (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result)
    SELECT k.job, ${completed}, k.claim, k.attempt, 0, me.id, k.started_at, moment, moment + k.keep,
      moment + greatest(k.keep, ${rememberMs}), NULL, k.result
    FROM unnest(s_jobs, s_claims, s_attempts, s_starts, s_keeps, s_results, s_delays)
      AS k (job, claim, attempt, started_at, keep, result, delay) WHERE k.delay IS NULL;
    first_seq := nextval('forgeq.turn');
    INSERT INTO forgeq.expiry (at, seq, jobs)
    SELECT moment + k.keep, first_seq + row_number() OVER () - 1, k.jobs
    FROM (SELECT greatest(k.keep, ${rememberMs}) AS keep, array_agg(k.job) AS jobs FROM unnest(s_jobs, s_keeps, s_delays) AS k (job, keep, delay)
      WHERE k.delay IS NULL GROUP BY 1) k;
    IF their_delays IS NOT NULL THEN
      INSERT INTO forgeq.attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error)
      SELECT k.job, k.claim, k.attempt, 'retry', me.id, k.started_at, moment, k.error
      FROM unnest(s_jobs, s_claims, s_attempts, s_starts, s_delays, s_errors) AS k (job, claim, attempt, started_at, delay, error)
      WHERE k.delay IS NOT NULL;
      -- Behind the numbers of expiries, of which there are no more than jobs.
      INSERT INTO forgeq.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
      SELECT moment + k.delay, first_seq + n + k.i, k.job, k.queue, k.claim, k.attempt + 1, 0, me.id
      FROM unnest(s_jobs, s_claims, s_attempts, s_queues, s_delays) WITH ORDINALITY AS k (job, claim, attempt, queue, delay, i)
      WHERE k.delay IS NOT NULL;
    END IF;
    ${countDown('SELECT me.id AS worker, e.turn, e.queue, count(*) AS n FROM unnest(their_turns, their_queues) AS e (turn, queue) GROUP BY 2, 3')};
  END IF;
  IF spots IS NOT NULL THEN
    UPDATE forgeq.live SET worker = me.id, turn = hand_over.number, claim = claim + 1, started_at = moment WHERE ctid = ANY (spots);
    INSERT INTO forgeq.held (worker, turn, queue, lanes, seqs, open)
    SELECT me.id, hand_over.number, c.queue, array_agg(c.lane), array_agg(c.seq), count(*)
    FROM unnest(c_queues, c_lanes, c_seqs) AS c (queue, lane, seq) GROUP BY c.queue;
  END IF;
  INSERT INTO forgeq.tally (queue, state, stripe, n)
  SELECT t.queue, t.state, ${stripeHere}, sum(t.n) FROM (
    SELECT q, ${running}, -1 FROM unnest(their_queues) AS q
    UNION ALL SELECT k.queue, CASE WHEN k.delay IS NULL THEN ${completed} ELSE ${scheduled} END, 1
      FROM unnest(s_queues, s_delays) AS k (queue, delay)
    UNION ALL SELECT q, ${ready}, -1 FROM unnest(c_queues) AS q UNION ALL SELECT q, ${running}, 1 FROM unnest(c_queues) AS q
  ) AS t (queue, state, n) GROUP BY t.queue, t.state HAVING sum(t.n) <> 0 ORDER BY t.queue, t.state
  ON CONFLICT (queue, state, stripe) DO UPDATE SET n = tally.n + excluded.n;

  RETURN QUERY SELECT NULL::integer, NULL::integer, NULL::bigint, NULL::uuid, NULL, NULL::integer, NULL::integer, NULL, NULL::bigint,
    NULL, NULL::integer, NULL::boolean, moment, ${firstDue('due_after')},
    ${cancelsOf('me.id')}, coalesce(cut_short, false);
  IF spots IS NOT NULL THEN
    RETURN QUERY SELECT c.*, NULL::bigint, NULL::bigint, NULL::json, NULL::boolean
    FROM unnest(c_queues, c_lanes, c_seqs, c_jobs, c_types, c_claims, c_attempts, c_payloads, c_created, c_policies, c_bases, c_unique) AS c;
  END IF;
END $$;
`
