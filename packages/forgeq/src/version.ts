// The version of this package, as workers announce it and the command line prints it.
import { createRequire } from 'node:module'

export const version: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version
