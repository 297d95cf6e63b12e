// A store's URL taken apart, and shown without its secrets. Which stores there are: open.ts.

export interface StoreUrl {
  readonly scheme: string
  /** Between scheme and query, as it was written. */
  readonly rest: string
  readonly options: URLSearchParams
}

/** `undefined` when it has no scheme. */
export function splitUrl(url: string): StoreUrl | undefined {
  const match = /^([a-z+]+):([^?]*)(?:\?(.*))?$/s.exec(url)
  if (match === null) return undefined
  const [, scheme = '', rest = '', query = ''] = match
  return { scheme, rest, options: new URLSearchParams(query) }
}

/** The file of a `sqlite:` URL, `''` when it names none. sqlite:///abs.db and sqlite://rel.db are written by habit. */
export const fileOf = ({ rest }: StoreUrl): string => decoded(rest.replace(/^\/\/(?=\/)/, '').replace(/^\/\//, ''))

/** Escapes read; a text with a % that escapes nothing is meant as it is. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** For people: passwords and tokens are replaced by `***`. */
export const maskUrl = (url: string): string =>
  url
    .replace(/^([a-z+]+:\/\/[^/?#]*?:)[^/?#]*(@)/i, '$1***$2')
    .replace(/([?&][^=&]*(?:password|pass|pwd|secret|token|key)[^=&]*=)[^&]*/gi, '$1***')
