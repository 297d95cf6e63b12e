// The contract on the way that calls take when they are not plain: whatever the short one does, this one has to be able to.
import { openStopped, testDatabase } from '../postgres/database.ts'
import { closeShortWay } from '../postgres/short-way.ts'
import { runConformance } from './run-conformance.ts'

const database = await testDatabase()

runConformance(
  'postgres, the long way',
  async () => {
    const opened = await openStopped(database)
    await closeShortWay(database.client, opened.schema)
    return opened
  },
  ['notify', 'shared'],
  1,
  // That functions were replaced is noticed.
  ['an open store has nothing left to migrate'],
)
