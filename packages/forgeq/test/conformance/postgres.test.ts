// The PostgreSQL store keeps the contract.
import { openStopped, testDatabase } from '../postgres/database.ts'
import { runConformance } from './run-conformance.ts'

const database = await testDatabase()

runConformance('postgres', () => openStopped(database), ['notify', 'shared'])
