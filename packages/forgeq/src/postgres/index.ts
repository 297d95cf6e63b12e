// The PostgreSQL store: a schema of its own in a database, any number of processes on any number of machines.
import type { Store } from '../store/store.ts'
import { PostgresStore, type PostgresOptions } from './store.ts'

export type { PostgresOptions }

/**
 * A store in the database at `url`, in a schema that is made when absent. Opens at first use; CONFIG when `pg` is not
 * installed or the server is too old, STORE_UNSAFE when the server runs without fsync, MIGRATION_NEEDED when the schema is
 * another's.
 */
export const postgres = (url: string, options: PostgresOptions = {}): Store => new PostgresStore(url, options)
