// The stores that there are runs for.
import type { Ground } from './ground.ts'
import { postgresGround } from './ground-postgres.ts'
import { sqliteGround } from './ground-sqlite.ts'

/** By the name of the option `--store`; a file goes to `folder`. */
export const grounds: Readonly<Record<string, (folder: string) => Promise<Ground>>> = {
  sqlite: sqliteGround,
  postgres: postgresGround,
}
