// From the settings to a forge on their store, for commands that look and act once.
import { existsSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import { fileOf, maskUrl, splitUrl } from '../store/url.ts'
import { readConfig, type Config, type Flags } from './config.ts'

export const configOf = (flags: Flags): Promise<Config> =>
  readConfig({ flags, env: process.env, folder: process.cwd() })

/** Opens the store, runs `use` and closes the store again, whatever happens. */
export async function withForge<T>(config: Config, use: (forge: ForgeQ) => Promise<T>): Promise<T> {
  const { ForgeQ } = await import('../forge.ts')
  const forge = new ForgeQ({ store: config.store })
  try {
    await forge.ready()
    return await use(forge)
  } finally {
    await forge.close()
  }
}

/** As `withForge`, for commands that find nothing in a store that is not there: STORE_UNAVAILABLE instead of a new one. */
export async function withStored<T>(flags: Flags, use: (forge: ForgeQ, config: Config) => Promise<T>): Promise<T> {
  const config = await configOf(flags)
  const parts = splitUrl(config.store)
  if (parts?.scheme === 'sqlite' && !existsSync(fileOf(parts))) {
    throw new ForgeError(
      'STORE_UNAVAILABLE',
      `There is no store at ${maskUrl(config.store)} (${saidBy(config)}). \`forgeq dev\`, a worker or the first enqueue ` +
        'makes it; --store or FORGEQ_STORE says where it is.',
    )
  }
  return withForge(config, (forge) => use(forge, config))
}

const saidBy = ({ origins }: Config): string => (origins.store === 'default' ? 'the default' : `from ${origins.store}`)
