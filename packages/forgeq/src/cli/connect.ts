// From the settings to a forge on their store, for commands that look and act once.
import { existsSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import { fileOf, maskUrl, splitUrl } from '../store/url.ts'
import { readConfig, type Config, type Flags } from './config.ts'

export const configOf = (flags: Flags): Promise<Config> =>
  readConfig({ flags, env: process.env, folder: process.cwd() })

/**
 * The file of the store, `undefined` when it is not one on a file. CONFIG when it is in memory: commands and workers are
 * processes of their own.
 */
export function fileOfStore({ store, origins }: Config): string | undefined {
  const parts = splitUrl(store)
  if (parts?.scheme !== 'sqlite') return undefined
  const file = fileOf(parts)
  if (file !== ':memory:') return file
  throw new ForgeError(
    'CONFIG',
    `the store ${store} (${saidBy(origins.store)}) ends with this process, and no other one sees it; give it a file, as in ` +
      'sqlite:jobs.db',
  )
}

/** Opens the store, runs `use` and closes the store again, whatever happens. CONFIG when it is in memory. */
export async function withForge<T>(config: Config, use: (forge: ForgeQ) => Promise<T>): Promise<T> {
  fileOfStore(config)
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
  const file = fileOfStore(config)
  if (file !== undefined && !existsSync(file)) {
    throw new ForgeError(
      'STORE_UNAVAILABLE',
      `there is no store at ${maskUrl(config.store)} (${saidBy(config.origins.store)}); \`forgeq dev\`, a worker or the first enqueue ` +
        'makes it, --store or FORGEQ_STORE says where it is',
    )
  }
  return withForge(config, (forge) => use(forge, config))
}

const saidBy = (origin: string): string =>
  origin === 'default' ? 'the default' : origin === 'flag' ? 'from --store' : `from ${origin}`
