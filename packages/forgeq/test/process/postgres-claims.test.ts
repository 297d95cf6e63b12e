// On PostgreSQL, what the tests of these names do on a file.
import { onPostgres } from './on-postgres.ts'

await onPostgres('isolation-kill', 'zombie', 'limits', 'unique', 'rate-settings')
