// The store of a test's folder from inside the test, where a command would only cost time.
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ForgeQ } from 'forgeq'
import { fail, greet } from './handlers/jobs.ts'

export function forgeIn(t: TestContext, folder: string): ForgeQ {
  const forge = new ForgeQ({ store: `sqlite:${join(folder, '.forgeq', 'forgeq.db')}` })
  t.after(() => forge.close())
  return forge
}

/** Runs everything that can be run. */
export const drain = (forge: ForgeQ): Promise<void> =>
  forge.worker({ handlers: [greet, fail], drain: true, signals: false }).run()
