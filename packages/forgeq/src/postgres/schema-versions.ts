// What keeps rows from having many versions: while somebody's transaction stays open they all stay, and whoever seeks the row
// walks over them.

export const fewVersions: string = /* sql */ `
-- The last turn of each worker, in a row of its own: a new turn is a new row (exchange.ts). worker.turn is not used any more.
CREATE TABLE forgeq.exchange (worker integer NOT NULL, turn bigint NOT NULL, PRIMARY KEY (worker, turn));
-- Stripes of the tally below -64 are of a time, those from -64 on are the sum of what was (tally.ts).
CREATE INDEX tally_timed ON forgeq.tally (stripe) WHERE stripe < -64;
-- In the whole order in which alarms ring: nobody has to sort them.
CREATE INDEX alarm_due ON forgeq.alarm (at, queue, what);
DROP INDEX forgeq.alarm_at;
-- Whoever asks for the time, as all do before they draw a number, has an xid from then on: heads.ts.
CREATE OR REPLACE FUNCTION forgeq.moment() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE wall bigint; seen bigint;
BEGIN
  PERFORM pg_current_xact_id();
  SELECT coalesce(frozen_at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) INTO wall FROM forgeq.clock;
  SELECT last_value INTO seen FROM forgeq.instant;
  IF wall > seen THEN PERFORM setval('forgeq.instant', wall); END IF;
  RETURN greatest(wall, seen);
END $$;
`
