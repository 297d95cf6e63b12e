// A store's URL -> the store. The one place outside the stores that knows them, and loads only the one that is named.
import { ForgeError } from '../core/errors.ts'
import type { Store } from './store.ts'
import { fileOf, maskUrl, splitUrl } from './url.ts'

/** Where jobs live when nothing is said. */
export const defaultUrl = 'sqlite:.forgeq/forgeq.db'

const durabilities = ['full', 'relaxed'] as const

const invalid = (url: string, what: string): ForgeError =>
  new ForgeError(
    'CONFIG',
    `store URL ${JSON.stringify(maskUrl(url))}: ${what}; there are sqlite:path.db, sqlite:path.db?durability=relaxed and sqlite::memory:`,
  )

/** Opens `sqlite:path.db[?durability=relaxed]` or `sqlite::memory:`; CONFIG says what is wrong with another URL. */
export const openStore = async (url: string): Promise<Store> => {
  const parts = splitUrl(url)
  if (parts === undefined)
    throw invalid(url, url === '' ? 'it is empty' : `it has no scheme, as in sqlite:${maskUrl(url)}`)
  const { scheme, options } = parts
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
