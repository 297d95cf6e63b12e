// What processes do and what is done to them, on PostgreSQL.
import { onPostgres } from './on-postgres.ts'

await onPostgres('kill', 'shutdown', 'pool', 'supervise', 'standing-still')
