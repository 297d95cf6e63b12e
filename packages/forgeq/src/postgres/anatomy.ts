// What a schema is made of, read from the catalogs: each table, column, index, constraint, trigger, sequence, view and function
// with all that decides how it behaves, as text that does not name the schema.
import type { Client } from './client.ts'

export type PartKind = 'table' | 'column' | 'index' | 'constraint' | 'trigger' | 'sequence' | 'view' | 'function'

export interface Part {
  readonly kind: PartKind
  readonly name: string
  /** The table that it belongs to. */
  readonly table: string | null
  /** How it is, by what of it is told. */
  readonly facts: Readonly<Record<string, string>>
}

// An index that belongs to a constraint is told by it. NOT NULL is one of its own since PostgreSQL 18
// and always is a fact of its column. Temporary tables stand for others that are not.
const parts = /* sql */ `
WITH relation AS (SELECT * FROM pg_class WHERE relnamespace = $1)
SELECT 'table' AS kind, c.relname AS name, NULL AS "table", jsonb_build_object(
  'kind', CASE c.relkind WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table' ELSE 'relkind ' || c.relkind::text END,
  'durability', CASE c.relpersistence WHEN 'u' THEN 'unlogged: a crash empties it' ELSE 'logged' END,
  'row security', CASE WHEN c.relrowsecurity THEN 'on' ELSE 'off' END,
  'options', (SELECT coalesce(string_agg(o, ', ' ORDER BY o), '') FROM unnest(c.reloptions) AS o)) AS facts
FROM relation c WHERE c.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'column', a.attname, c.relname, jsonb_build_object(
  'type', format_type(a.atttypid, a.atttypmod), 'nullability', CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
  'collation', coalesce((SELECT collname FROM pg_collation o WHERE o.oid = a.attcollation), 'none'),
  'default', coalesce(pg_get_expr(d.adbin, d.adrelid), 'none'),
  'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' ELSE 'none' END,
  'generated', CASE a.attgenerated WHEN '' THEN 'no' ELSE 'as its default says' END)
FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'index', i.relname, c.relname, jsonb_build_object(
  'definition', pg_get_indexdef(i.oid, 0, true),
  'state', CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN 'valid' ELSE 'invalid' END)
FROM relation c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid 
WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (
  SELECT 1 FROM pg_constraint n WHERE n.conindid = i.oid AND n.conrelid = c.oid AND n.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'constraint', n.conname, c.relname, jsonb_build_object(
  'definition', pg_get_constraintdef(n.oid, true), 'state', CASE WHEN n.convalidated THEN 'valid' ELSE 'not valid' END)
FROM relation c JOIN pg_constraint n ON n.conrelid = c.oid WHERE n.contype <> 'n'
UNION ALL
SELECT 'trigger', t.tgname, c.relname, jsonb_build_object(
  'definition', pg_get_triggerdef(t.oid, true), 'state', CASE t.tgenabled WHEN 'D' THEN 'disabled' ELSE 'enabled' END)
FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'sequence', c.relname, NULL, jsonb_build_object('definition', concat_ws(' ', format_type(s.seqtypid, NULL),
  'INCREMENT', s.seqincrement, 'MINVALUE', s.seqmin, 'MAXVALUE', s.seqmax, 'START', s.seqstart, 'CACHE', s.seqcache,
  CASE WHEN s.seqcycle THEN 'CYCLE' END))
FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
UNION ALL
SELECT 'view', c.relname, NULL, jsonb_build_object('definition', pg_get_viewdef(c.oid, true))
FROM relation c WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', NULL, jsonb_build_object(
  'arguments', pg_get_function_arguments(p.oid), 'result', coalesce(pg_get_function_result(p.oid), 'none'),
  'language', l.lanname, 'body', p.prosrc, 'settings', coalesce(replace(array_to_string(p.proconfig, '; '), '"', ''), 'none'),
  'attributes', concat_ws(' ', p.prokind::text, p.provolatile::text, p.proparallel::text, p.proisstrict, p.prosecdef, p.proleakproof))
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = $1`

/** `bare`: a text without the name of the schema. */
export const anatomyOf = async (
  client: Client,
  namespace: number,
  bare: (text: string) => string,
): Promise<readonly Part[]> => {
  const { rows } = await client.query({ text: parts, values: [namespace] })
  return (rows as readonly Part[]).map((part) => ({
    ...part,
    name: bare(part.name),
    facts: Object.fromEntries(Object.entries(part.facts).map(([what, how]) => [what, bare(how)])),
  }))
}
