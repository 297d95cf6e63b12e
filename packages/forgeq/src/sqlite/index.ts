// The SQLite store: one file, any number of processes on one machine.
import type { Store } from '../store/store.ts'
import { SqliteStore, type SqliteOptions } from './store.ts'

export type { SqliteOptions }

/**
 * A store in the SQLite file at `path` (made when absent, with its folder), or in memory with `:memory:`. Opens at first
 * use; STORE_UNSAFE on a network file system or an SQLite older than 3.51.3, MIGRATION_NEEDED when its schema is another's.
 */
export const sqlite = (path: string, options: SqliteOptions = {}): Store => new SqliteStore(path, options)
