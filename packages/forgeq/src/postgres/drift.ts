// Finds out where a schema is not what the migrations made, and says what to do. What they make is not written down a second
// time: they are run once more, as temporary tables of a transaction that is rolled back, and both are read the same way.
import { anatomyOf, type Part, type PartKind } from './anatomy.ts'
import type { Pool, Pooled } from './client.ts'
import { standingOf, type Place } from './migrate.ts'
import { quoteName, Statements } from './statements.ts'

const here = /* sql */ `SELECT to_regnamespace($1)::oid::bigint AS namespace`
const scratch = 'pg_temp'
/** Its name for all, or that of the session. */
const scratchName = /"?pg_temp(?:_\d+)?"?\./g
// Behind a pooler the session may have been somebody else's before.
const foreign = /* sql */ `SELECT count(*)::integer AS n FROM pg_class WHERE relnamespace = pg_my_temp_schema()`

/** By SQLSTATE: why no temporary tables can be made, which is not for the schema to answer for. */
const reasons: Readonly<Record<string, string>> = {
  '42501': 'its user may not make temporary tables; GRANT TEMPORARY ON DATABASE allows it, or take another user',
  '25006': 'the server is read-only, as a standby is; ask the primary',
}

const notCompared = (why: string): string[] => [`The schema was not compared with its migrations: ${why}.`]

/** Each difference with what to do about it, for people. Changes nothing. */
export const findDrift = async (pool: Pool, place: Place): Promise<readonly string[]> => {
  const { version } = await standingOf(pool, place)
  if (version === 0) return []
  if (version > place.steps.length) {
    return notCompared(`it has version ${version}, and this ForgeQ knows ${place.steps.length}; ask a newer one`)
  }
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const drift = await compare(client, place, version)
    await client.query('ROLLBACK')
    client.release()
    return drift
  } catch (error) {
    // Its transaction ends with the connection.
    client.release(error as Error)
    const why = reasons[String((error as { code?: unknown }).code)]
    if (why === undefined) throw error
    return notCompared(why)
  }
}

const compare = async (client: Pooled, { schema, steps }: Place, version: number): Promise<readonly string[]> => {
  const name = quoteName(schema)
  // Names of what is searched first are written without it: so the name of the schema is in nothing but bodies of functions.
  await client.query(`SET LOCAL search_path = ${name}; SET LOCAL quote_all_identifiers = off`)
  const { namespace } = (await client.query({ text: here, values: [name] })).rows[0] as { namespace: number }
  const found = await anatomyOf(client, namespace, (text) => text.replaceAll(`${name}.`, ''))
  if (((await client.query(foreign)).rows[0] as { n: number }).n > 0) {
    return notCompared('the session has temporary tables of others; connect to the server itself')
  }
  await client.query('SET LOCAL search_path = pg_catalog')
  const statements = new Statements(scratch, true)
  for (const { sql } of steps.slice(0, version)) await client.query(statements.text(sql))
  const made = (await client.query({ text: `SELECT pg_my_temp_schema()::bigint AS namespace` })).rows[0]
  const expected = await anatomyOf(client, (made as { namespace: number }).namespace, (text) =>
    text.replaceAll(scratchName, ''),
  )
  return differences(expected, found, name)
}

const keyOf = ({ kind, table, name }: Part): string => `${kind} ${table ?? ''} ${name}`

const differences = (expected: readonly Part[], found: readonly Part[], schema: string): string[] => {
  const foundBy = new Map(found.map((part) => [keyOf(part), part]))
  const expectedBy = new Map(expected.map((part) => [keyOf(part), part]))
  const isMissing = (kind: PartKind, name: string | null): boolean =>
    name !== null && !foundBy.has(keyOf({ kind, name, table: null, facts: {} }))
  const changed = expected.flatMap((part) => {
    const there = foundBy.get(keyOf(part))
    if (there !== undefined) return tellChange(part, there, schema)
    // One line for a table says it of all that belongs to it.
    return isMissing('table', part.table) ? [] : [tellMissing(part, schema)]
  })
  const ours = new Set(expected.map(({ kind, name }) => `${kind} ${callName(name)}`))
  const extra = found.filter((part) => {
    if (expectedBy.has(keyOf(part))) return false
    // What else is in the schema is none of our business, unless it may be taken for ours.
    return part.table === null
      ? part.kind === 'function' && ours.has(`function ${callName(part.name)}`)
      : ours.has(`table ${part.table}`)
  })
  return [...changed, ...extra.map((part) => tellExtra(part, schema))].sort()
}

const callName = (name: string): string => name.replace(/\(.*/s, '')

const called = ({ kind, name, table }: Part): string =>
  table === null ? `${kind} ${name}` : `${kind} ${name} of ${table}`

/** For what nobody can put right by one statement. */
const makeAlike = 'a schema of another name, which `forgeq migrate` makes, shows how it should be; make it alike'

const sqlOf = ({ facts }: Part, schema: string): string =>
  facts['definition']!.replace(/^(CREATE (?:UNIQUE )?INDEX \S+ ON )/, `$1${schema}.`)

const addColumn = ({ name, table, facts }: Part, schema: string): string => {
  const { type, nullability, default: preset, collation } = facts
  const collate = collation === 'C' ? ' COLLATE "C"' : ''
  const presets = preset === 'none' ? '' : ` DEFAULT ${preset}`
  return `ALTER TABLE ${schema}.${quoteName(table!)} ADD COLUMN ${quoteName(name)} ${type}${collate}${presets} ${nullability}`
}

const tellMissing = (part: Part, schema: string): string => {
  const what = `The ${called(part)} is missing`
  if (part.kind === 'index') return `${what}: ${sqlOf(part, schema)}`
  if (part.kind === 'column') return `${what}, and what it held is lost: ${addColumn(part, schema)}`
  if (part.kind === 'constraint') {
    const { name, table, facts } = part
    return `${what}: ALTER TABLE ${schema}.${quoteName(table!)} ADD CONSTRAINT ${quoteName(name)} ${facts['definition']}`
  }
  return `${what}: ${makeAlike}.`
}

const tellExtra = (part: Part, schema: string): string => {
  const what = `The ${called(part)} is not ForgeQ's`
  const [name, table] = [quoteName(part.name), `${schema}.${quoteName(part.table ?? '')}`]
  if (part.kind === 'index') {
    return `${what}, and whatever writes there pays for it: DROP INDEX ${schema}.${name}, unless you need it.`
  }
  if (part.kind === 'trigger')
    return `${what}, and runs with each write: DROP TRIGGER ${name} ON ${table}, unless you need it.`
  if (part.kind === 'constraint')
    return `${what}, and may refuse what ForgeQ writes: ALTER TABLE ${table} DROP CONSTRAINT ${name}`
  if (part.kind === 'column') return `${what}: ALTER TABLE ${table} DROP COLUMN ${name}, unless you need it.`
  return `${what}, and may be called in its place: DROP FUNCTION ${schema}.${part.name}`
}

const tellChange = (expected: Part, found: Part, schema: string): string[] =>
  Object.entries(expected.facts).flatMap(([what, how]) => {
    const isHow = found.facts[what]!
    if (isHow === how) return []
    if (what === 'options') return [tellOptions(expected, how, isHow, schema)]
    if (expected.kind === 'index' && what === 'state') {
      return [
        `The ${called(expected)} is invalid, so nobody reads it: REINDEX INDEX ${schema}.${quoteName(expected.name)}`,
      ]
    }
    if (expected.kind === 'index')
      return [`The ${called(expected)} is another; drop it, then ${sqlOf(expected, schema)}`]
    const short = isHow.length + how.length < 200 ? ` (${isHow}, made as ${how})` : ''
    return [`The ${called(expected)} is not as it was made: another ${what}${short}; ${makeAlike}.`]
  })

const optionsIn = (text: string): ReadonlySet<string> => new Set(text.split(', ').filter((option) => option !== ''))

const tellOptions = (table: Part, made: string, found: string, schema: string): string => {
  const [madeWith, foundWith] = [optionsIn(made), optionsIn(found)]
  const nameOf = (option: string): string => option.slice(0, option.indexOf('='))
  const set = [...madeWith].filter((option) => !foundWith.has(option))
  const kept = new Set([...madeWith].map(nameOf))
  const reset = [...foundWith].map(nameOf).filter((name) => !kept.has(name))
  const alter = `ALTER TABLE ${schema}.${quoteName(table.name)}`
  const statements = [
    ...(set.length > 0 ? [`${alter} SET (${set.join(', ')})`] : []),
    ...(reset.length > 0 ? [`${alter} RESET (${reset.join(', ')})`] : []),
  ]
  return `The table ${table.name} has other storage options (${found === '' ? 'none' : found}): ${statements.join('; ')}`
}
