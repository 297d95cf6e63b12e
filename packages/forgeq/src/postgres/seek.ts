// Parts of statements that seek rows by their keys, one by one. Which table of a join is read first is the planner's choice, and
// it chooses by what it believes: a table that was empty when somebody last looked stays so in its eyes while a million jobs come
// in, and then it would walk them all. What is asked with OFFSET 0 for each row of something else is never turned round.

/** The row of `table` for which `condition` holds, under `name`: for each row that stands before it. */
export const rowOf = (table: string, name: string, condition: string): string =>
  `LATERAL (SELECT * FROM forgeq.${table} WHERE ${condition} OFFSET 0) ${name}`

/**
 * Which rows of `table` to change: those whose keys are in the parameters from $1 on, each of them an array that holds one
 * column of the key, as `key` tells by the types of the columns. `also`: what else must hold of a row.
 */
export const rowsAt = (table: string, key: Readonly<Record<string, string>>, also = 'true'): string => {
  const columns = Object.keys(key)
  const parameters = Object.values(key).map((type, i) => `$${i + 1}::${type}[]`)
  const isSame = columns.map((column) => `${column} = k.${column}`).join(' AND ')
  return `ctid = ANY (ARRAY(
    SELECT r.ctid FROM unnest(${parameters.join(', ')}) AS k (${columns.join(', ')})
      CROSS JOIN LATERAL (SELECT ctid FROM forgeq.${table} WHERE ${isSame} AND ${also} OFFSET 0) r))`
}

/** Which rows to change: those that `query` finds and locks, by their `ctid`. It skips what is locked: a row that was waited for is elsewhere. */
export const rowsOf = (query: string): string => `ctid = ANY (ARRAY(${query}))`
