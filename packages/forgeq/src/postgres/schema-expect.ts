// What lets the server see that a statement changed less than it had to: a transaction that ends with its commit in one message
// has nobody else to look (batch.ts).

// It depends on nothing but its arguments, which is what immutable says: it needs no look at the database.
export const expect: string = /* sql */ `
CREATE FUNCTION forgeq.expect(changed bigint, given integer) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF changed <> given THEN
    RAISE EXCEPTION 'forgeq: another transaction was faster; this one is rolled back and starts anew' USING ERRCODE = '40001';
  END IF;
END $$;
`
