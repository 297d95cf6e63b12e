// The example shop on PostgreSQL: what its own test does on a file.
import { onPostgres } from './on-postgres.ts'

await onPostgres('../../../../examples/shop/dist/test/shop')
