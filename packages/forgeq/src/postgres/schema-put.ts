// New jobs without anything special about them, in one statement, with which begin and commit go: a trip to the server where the
// long way takes two (put.ts). It refuses by `false`, having written nothing, what only enqueue.ts can answer: jobs that are
// known, ids of another day, queues that are not open to all.
import { caps } from '../core/caps.ts'
import { freshLane, laneOf } from '../store/lanes.ts'
import { stateCodes } from '../store/state-codes.ts'
import { stripeHere } from './tally.ts'

const fresh = laneOf(0, freshLane)
const perLevel = laneOf(1, 0)

// `entered`: the queues, in the one order in which all enter them, and the types (`kinds`), each with the name that its number had:
// it is another one where the schema was made anew. `oldest` and `newest`: when ids say that they were made.
export const put: string = /* sql */ `
CREATE FUNCTION forgeq.put(entered integer[], ids uuid[], types integer[], queues integer[], levels integer[], policies text[],
  labels text[], payloads text[], oldest bigint, newest bigint, queue_names text[], kinds integer[], kind_names text[]) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  moment bigint;
  number bigint;
BEGIN
  IF (SELECT count(*) FROM unnest(entered, queue_names) AS e (number, name) CROSS JOIN LATERAL forgeq.enter(e.number, false) AS q
      WHERE q.name = e.name AND q.accepting AND q.limits IS NULL AND NOT q.has_keys) < cardinality(entered)
    OR EXISTS (SELECT 1 FROM unnest(kinds, kind_names) AS k (number, name)
      WHERE NOT EXISTS (SELECT 1 FROM forgeq.type t WHERE t.id = k.number AND t.name = k.name OFFSET 0)) THEN
    RETURN false;
  END IF;
  moment := forgeq.moment();
  number := nextval('forgeq.turn');
  IF moment - oldest > ${caps.idDriftMs} OR newest - moment > ${caps.idDriftMs}
    OR EXISTS (SELECT 1 FROM forgeq.job WHERE id = ANY (ids)) THEN
    RETURN false;
  END IF;
  INSERT INTO forgeq.job (id, seq, type, queue, priority, policy, created_at, run_at, tags, payload)
  SELECT i.id, number + i.n - 1, i.type, i.queue, i.level, i.policy, moment, moment, i.tags, i.payload
  FROM unnest(ids, types, queues, levels, policies, labels, payloads) WITH ORDINALITY
    AS i (id, type, queue, level, policy, tags, payload, n);
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
  SELECT i.queue, i.level * ${perLevel} + ${fresh}, number + i.n - 1, i.id, i.type, moment, 0, 1, 0, 0, false
  FROM unnest(ids, types, queues, levels) WITH ORDINALITY AS i (id, type, queue, level, n);
  INSERT INTO forgeq.tally (queue, state, stripe, n)
  SELECT q, ${stateCodes.ready}, ${stripeHere}, count(*) FROM unnest(queues) AS q GROUP BY q ORDER BY q
  ON CONFLICT (queue, state, stripe) DO UPDATE SET n = tally.n + excluded.n;
  RETURN true;
END $$;
-- What is written in functions means the same to every caller.
ALTER FUNCTION forgeq.enqueue(text, text, jsonb) SET standard_conforming_strings = on;
ALTER FUNCTION forgeq.enqueue_many(text) SET standard_conforming_strings = on;
`
