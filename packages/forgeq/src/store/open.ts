// A store's URL -> the store. The one place outside the stores that knows them, and loads only the one that is named.
import { ForgeError } from '../core/errors.ts'
import type { Store } from './store.ts'
import { fileOf, maskUrl, splitUrl, type StoreUrl } from './url.ts'

/** Where jobs live when nothing is said. */
export const defaultUrl = 'sqlite:.forgeq/forgeq.db'

const durabilities = ['full', 'relaxed'] as const

const invalid = (url: string, what: string): ForgeError =>
  new ForgeError(
    'CONFIG',
    `store URL ${JSON.stringify(maskUrl(url))}: ${what}; there are sqlite:path.db, sqlite:path.db?durability=relaxed, sqlite::memory: and postgres://user@host/database?schema=forgeq`,
  )

/**
 * Opens `sqlite:path.db[?durability=relaxed]`, `sqlite::memory:` or `postgres://user@host/database[?schema=forgeq]`; CONFIG says
 * what is wrong with another URL.
 */
export const openStore = async (url: string): Promise<Store> => {
  const parts = splitUrl(url)
  if (parts === undefined)
    throw invalid(url, url === '' ? 'it is empty' : `it has no scheme, as in sqlite:${maskUrl(url)}`)
  const { scheme, options } = parts
  if (scheme === 'postgres' || scheme === 'postgresql') return openPostgres(url, parts)
  if (scheme !== 'sqlite') throw invalid(url, `scheme ${scheme} is not known`)
  const file = fileOf(parts)
  if (file === '') throw invalid(url, 'it names no file')
  for (const key of options.keys()) if (key !== 'durability') throw invalid(url, `option ${key} is not known`)
  const durability = options.get('durability') ?? 'full'
  if (!(durabilities as readonly string[]).includes(durability))
    throw invalid(url, `durability must be full or relaxed`)
  const { sqlite } = await import('../sqlite/index.ts')
  return sqlite(file, { durability: durability as (typeof durabilities)[number] })
}

/** All options but the schema are the driver's. */
const openPostgres = async (url: string, { scheme, rest, options }: StoreUrl): Promise<Store> => {
  if (!rest.startsWith('//')) throw invalid(url, `it is written ${scheme}://user@host/database`)
  const { schema = 'forgeq', ...others } = Object.fromEntries(options)
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    throw invalid(url, 'schema must be a name of small letters, digits and _')
  }
  const query = new URLSearchParams(others).toString()
  const { postgres } = await import('../postgres/index.ts')
  return postgres(`${scheme}:${rest}${query === '' ? '' : `?${query}`}`, { schema })
}
