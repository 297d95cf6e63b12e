// What SQL says of a job, read as the library reads it (core/policy.ts, core/new-job.ts): functions that check a member and
// give the form in which it is stored, or refuse. They read no table.
import { caps, defaults } from '../core/caps.ts'
import { longestMs, unitMs } from '../core/duration.ts'
import { enqueueOptions } from '../core/new-job.ts'
import { uniqueConflicts, uniqueEnds } from '../core/unique.ts'
import { untilStart } from '../store/unique-hold.ts'

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`
const list = (names: readonly string[]): string => names.map(quote).join(', ')
const arms = (of: Readonly<Record<string, string | number>>): string =>
  Object.entries(of)
    .map(([key, value]) => `WHEN ${quote(key)} THEN ${typeof value === 'number' ? value : quote(value)}`)
    .join(' ')

/** For programs that know PostgreSQL; ForgeQ's own code is in DETAIL. */
const sqlStates = {
  INVALID_OPTION: '22023',
  INVALID_ID: '22023',
  INVALID_JSON: '22032',
  TOO_LARGE: '54000',
  ID_CONFLICT: '23505',
  UNIQUE_CONFLICT: '23505',
  QUEUE_FULL: '53400',
  QUEUE_CLOSED: '55000',
  UNSUPPORTED: '0A000',
}

export const optionFunctions: string = /* sql */ String.raw`
CREATE FUNCTION forgeq.refuse(code text, message text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = 'forgeq: ' || message, DETAIL = code, HINT = hint, ERRCODE = CASE code ${arms(sqlStates)} END;
END $$;

CREATE FUNCTION forgeq.check_members(given jsonb, known text[], path text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE unknown text;
BEGIN
  SELECT k INTO unknown FROM jsonb_object_keys(given) AS k WHERE k <> ALL (known) LIMIT 1;
  IF FOUND THEN
    PERFORM forgeq.refuse('INVALID_OPTION', path || unknown || ' is not known here',
      'There are ' || array_to_string(known, ', ') || '.');
  END IF;
END $$;

CREATE FUNCTION forgeq.check_name(value text, member text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF value IS NULL OR length(value) > ${caps.nameLength} OR value !~ '^[A-Za-z0-9_.:/-]+$' THEN
    PERFORM forgeq.refuse('INVALID_OPTION', member || ' must be 1 to ${caps.nameLength} of A-Z a-z 0-9 _ . : / -',
      'Use one name for each kind of work; what differs from job to job belongs into the payload.');
  END IF;
END $$;

-- Characters are counted as JavaScript does: those beyond U+FFFF twice.
CREATE FUNCTION forgeq.read_text(value jsonb, member text, longest integer) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE found text := value #>> '{}';
BEGIN
  IF jsonb_typeof(value) <> 'string' OR found = '' OR (octet_length(found) > longest
    AND length(found) + length(regexp_replace(found, '[\u0001-\uFFFF]', '', 'g')) > longest) THEN
    PERFORM forgeq.refuse('INVALID_OPTION', member || ' must be a text of 1 to ' || longest || ' characters',
      'Shorten it, for instance to a hash; numbers are written as texts.');
  END IF;
  RETURN found;
END $$;

CREATE FUNCTION forgeq.read_ms(value jsonb, member text) RETURNS bigint LANGUAGE plpgsql STRICT AS $$
DECLARE
  written text[] := regexp_match(value #>> '{}', '^([0-9]+|[0-9]*[.][0-9]+)(ms|s|m|h|d)$');
  ms numeric;
BEGIN
  CASE jsonb_typeof(value)
    WHEN 'number' THEN ms := value::numeric;
    WHEN 'string' THEN ms := written[1]::numeric * CASE written[2] ${arms(unitMs)} END;
    ELSE ms := NULL;
  END CASE;
  IF ms IS NULL OR ms < 0 OR ms > ${longestMs} THEN
    PERFORM forgeq.refuse('INVALID_OPTION', member || ' must be between 0 and 3650 days',
      'Write milliseconds, or ''500ms'', ''30s'', ''5m'', ''2h'', ''7d''.');
  END IF;
  RETURN ceil(ms);
END $$;

-- As JSON writes a timestamptz, whatever the session's DateStyle and time zone are.
CREATE FUNCTION forgeq.read_instant(value jsonb, member text) RETURNS bigint LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' THEN
    BEGIN
      RETURN floor(extract(epoch FROM (value #>> '{}')::timestamptz) * 1000);
    EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN NULL;
    END;
  END IF;
  PERFORM forgeq.refuse('INVALID_OPTION', member || ' must be an instant such as 2027-01-31T08:00:00Z',
    'Give a timestamptz, not a timestamp without time zone.');
END $$;

CREATE FUNCTION forgeq.read_priority(value jsonb) RETURNS integer LANGUAGE plpgsql STRICT AS $$
DECLARE level numeric;
BEGIN
  CASE jsonb_typeof(value)
    WHEN 'number' THEN level := value::numeric;
    WHEN 'string' THEN level := CASE value #>> '{}' WHEN 'high' THEN 2 WHEN 'normal' THEN 5 WHEN 'low' THEN 8 END;
    ELSE level := NULL;
  END CASE;
  IF level IS NULL OR level NOT BETWEEN 0 AND 9 OR level <> trunc(level) THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'priority must be ''high'', ''normal'', ''low'' or a whole number from 0 (first) to 9',
      'Leave it out for what the job type says.');
  END IF;
  RETURN level;
END $$;

CREATE FUNCTION forgeq.read_tags(value jsonb) RETURNS text LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF jsonb_typeof(value) <> 'array' OR jsonb_array_length(value) > ${caps.tags} THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'tags must be a list of at most ${caps.tags} texts', 'Write [] or ["one", "two"].');
  END IF;
  RETURN (SELECT json_agg(tag ORDER BY first) FROM (
    SELECT forgeq.read_text(t, 'tags.' || n - 1, ${caps.tagLength}) AS tag, min(n) AS first
    FROM jsonb_array_elements(value) WITH ORDINALITY AS e (t, n) GROUP BY 1) tags);
END $$;

-- held_for as in store/unique-hold.ts.
CREATE FUNCTION forgeq.read_unique(value jsonb, OUT held text, OUT held_for bigint, OUT conflict text)
LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF jsonb_typeof(value) = 'string' THEN
    held := forgeq.read_text(value, 'unique', ${caps.uniqueLength});
    conflict := 'keep';
    RETURN;
  END IF;
  IF jsonb_typeof(value) <> 'object' THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'unique must be a text, or an object with a key', 'Write {"unique": {"key": "..."}}.');
  END IF;
  PERFORM forgeq.check_members(value, '{key,until,for,onConflict}', 'unique.');
  held := forgeq.read_text(coalesce(value -> 'key', 'null'), 'unique.key', ${caps.uniqueLength});
  conflict := coalesce(value ->> 'onConflict', 'keep');
  IF conflict NOT IN (${list(uniqueConflicts)}) OR coalesce(value ->> 'until', 'done') NOT IN (${list(uniqueEnds)}) THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'unique.until and unique.onConflict must be of those that there are',
      'until: ${uniqueEnds.join(', ')}; onConflict: keep, error.');
  END IF;
  IF conflict = 'replace' THEN
    PERFORM forgeq.refuse('UNSUPPORTED', 'unique.onConflict must not be replace in SQL: that would lock the waiting job until you commit',
      'Use keep or error, or replace by the library, the command line or HTTP.');
  END IF;
  IF value ? 'for' AND value ? 'until' THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'unique.for and unique.until exclude each other', 'Leave out one of them.');
  END IF;
  held_for := CASE value ->> 'until' WHEN 'start' THEN ${untilStart} ELSE forgeq.read_ms(value -> 'for', 'unique.for') END;
  IF held_for = 0 THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'unique.for must be more than 0', 'Say for how long the key is held.');
  END IF;
END $$;

CREATE FUNCTION forgeq.read_backoff(value jsonb) RETURNS jsonb LANGUAGE plpgsql STRICT AS $$
DECLARE
  jitter jsonb := coalesce(value -> 'jitter', 'true');
  factor jsonb := coalesce(value -> 'factor', '${defaults.backoffFactor}');
  delays jsonb := value -> 'delays';
  base bigint;
  plan jsonb := jsonb_build_object('type', value -> 'type', 'jitter', jitter);
BEGIN
  IF jsonb_typeof(value) <> 'object' OR jsonb_typeof(jitter) <> 'boolean' THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'backoff must be an object, and its jitter true or false',
      'Write {"type": "fixed", "delay": "10s"}.');
  END IF;
  CASE value ->> 'type'
    WHEN 'exponential' THEN
      PERFORM forgeq.check_members(value, '{type,base,factor,max,jitter}', 'backoff.');
      IF (CASE jsonb_typeof(factor) WHEN 'number' THEN factor::numeric NOT BETWEEN 1 AND 100 ELSE true END) THEN
        PERFORM forgeq.refuse('INVALID_OPTION', 'backoff.factor must be a number from 1 to 100',
          'Leave it out for ${defaults.backoffFactor}.');
      END IF;
      base := coalesce(forgeq.read_ms(value -> 'base', 'backoff.base'), ${defaults.backoffBaseMs});
      RETURN plan || jsonb_build_object('baseMs', base, 'factor', factor,
        'maxMs', coalesce(forgeq.read_ms(value -> 'max', 'backoff.max'), greatest(base, ${defaults.backoffMaxMs})));
    WHEN 'fixed' THEN
      PERFORM forgeq.check_members(value, '{type,delay,jitter}', 'backoff.');
      RETURN plan || jsonb_build_object('delayMs', forgeq.read_ms(coalesce(value -> 'delay', 'null'), 'backoff.delay'));
    WHEN 'list' THEN
      PERFORM forgeq.check_members(value, '{type,delays,jitter}', 'backoff.');
      IF (CASE jsonb_typeof(delays) WHEN 'array' THEN jsonb_array_length(delays) BETWEEN 1 AND ${caps.backoffDelays} ELSE false END) THEN
        RETURN plan || jsonb_build_object('delaysMs', (SELECT jsonb_agg(forgeq.read_ms(d, 'backoff.delays.' || n - 1) ORDER BY n)
          FROM jsonb_array_elements(delays) WITH ORDINALITY AS e (d, n)));
      END IF;
      PERFORM forgeq.refuse('INVALID_OPTION', 'backoff.delays must be a list of 1 to ${caps.backoffDelays} durations',
        'Write ["1s", "1m"].');
    ELSE
      PERFORM forgeq.refuse('INVALID_OPTION', 'backoff.type must be ''exponential'', ''fixed'' or ''list''',
        'Write {"type": "fixed", "delay": "10s"}.');
  END CASE;
END $$;

-- What is said here over what the type says; as store/policy-text.ts reads it.
CREATE FUNCTION forgeq.policy_text(given jsonb, base text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE policy jsonb;
BEGIN
  IF (CASE jsonb_typeof(given -> 'retries') WHEN 'number' THEN (given -> 'retries')::numeric NOT BETWEEN 0 AND ${caps.retries}
    OR (given -> 'retries')::numeric % 1 <> 0 ELSE given ? 'retries' END) THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'retries must be a whole number from 0 to ${caps.retries}',
      'It counts the tries after the first one.');
  END IF;
  IF given -> 'delivery' NOT IN ('"at-least-once"', '"at-most-once"') THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'delivery must be ''at-least-once'' or ''at-most-once''',
      'Leave it out for what the job type says.');
  END IF;
  policy := coalesce(base, '{}')::jsonb || jsonb_strip_nulls(jsonb_build_object(
    'maxAttempts', (given -> 'retries')::numeric::integer + 1, 'timeoutMs', forgeq.read_ms(given -> 'timeout', 'timeout'),
    'backoff', forgeq.read_backoff(given -> 'backoff'), 'keepResultMs', forgeq.read_ms(given -> 'keepResult', 'keepResult'),
    'delivery', given -> 'delivery'));
  IF policy ->> 'delivery' = 'at-most-once' THEN policy := policy || '{"maxAttempts": 1}'; END IF;
  RETURN nullif(policy::text, '{}');
END $$;

CREATE FUNCTION forgeq.check_payload(payload text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE brackets text;
BEGIN
  IF octet_length(payload) > ${caps.payloadBytes} THEN
    PERFORM forgeq.refuse('TOO_LARGE', 'payload has ' || octet_length(payload) || ' bytes as JSON, ${caps.payloadBytes} are allowed',
      'Store the data elsewhere and pass where it is.');
  END IF;
  IF octet_length(payload) - octet_length(translate(payload, '[{', '')) > ${caps.jsonDepth} THEN
    -- Without texts, each round takes away all that holds nothing: one level.
    brackets := regexp_replace(regexp_replace(payload, '"(?:[^"\\]|\\.)*"', '', 'g'), '[^][{}]', '', 'g');
    brackets := translate(brackets, '{}', '[]');
    FOR level IN 1..${caps.jsonDepth} LOOP
      EXIT WHEN brackets = '';
      brackets := replace(brackets, '[]', '');
    END LOOP;
    IF brackets <> '' THEN
      PERFORM forgeq.refuse('INVALID_JSON', 'payload is nested deeper than ${caps.jsonDepth} levels',
        'Flatten it, or pass where the data is.');
    END IF;
  END IF;
  BEGIN
    PERFORM payload::json;
  EXCEPTION WHEN invalid_text_representation THEN
    PERFORM forgeq.refuse('INVALID_JSON', 'payload must be JSON',
      'A text is quoted in JSON: give to_json(''...''::text), or json_build_object(...).');
  END;
END $$;

-- Members that are null are as if they were not there.
CREATE FUNCTION forgeq.read_options(given jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  IF jsonb_typeof(given) <> 'object' THEN
    PERFORM forgeq.refuse('INVALID_OPTION', 'options must be an object',
      'Write ''{"queue": "mail"}'', or jsonb_build_object(''queue'', ''mail'').');
  END IF;
  given := jsonb_strip_nulls(coalesce(given, '{}'));
  PERFORM forgeq.check_members(given, ARRAY[${list(enqueueOptions)}], '');
  IF given ? 'queue' THEN
    PERFORM forgeq.check_name(CASE jsonb_typeof(given -> 'queue') WHEN 'string' THEN given ->> 'queue' END, 'queue');
  END IF;
  IF given ->> 'id' !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' THEN
    PERFORM forgeq.refuse('INVALID_ID', 'id must be a UUIDv7 in lower case', 'Leave it out, and one is made.');
  END IF;
  RETURN given;
END $$;
`
