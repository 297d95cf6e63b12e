// Finds handlers: from files, folders and patterns to the modules meant, and from what those export to one handler per
// job type. Runs the modules' code, so only a worker process does this.
import { existsSync, statSync } from 'node:fs'
import { basename, extname, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ForgeError } from '../core/errors.ts'
import type { Handler } from '../job.ts'
import { filesBelow, glob, isGlob } from './glob.ts'

export interface FoundHandler {
  readonly handler: Handler
  /** Relative to the working folder. */
  readonly file: string
}

export interface FoundHandlers {
  readonly handlers: readonly FoundHandler[]
  /** What was noticed and is no fault: modules without handlers. */
  readonly notes: readonly string[]
}

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']
const isModule = (path: string): boolean => extensions.includes(extname(path)) && !/\.d\.[cm]?ts$/.test(path)
const isTest = (path: string): boolean =>
  /\.(test|spec)\.[cm]?[jt]s$/.test(path) || /(^|[\\/])(test|tests|__tests__)[\\/]/.test(path)

/**
 * CONFIG names what is missing, cannot be loaded, or handles a type twice. `folder`: paths are relative to it; `loading` is
 * told of each module before its code runs.
 */
export async function findHandlers(
  paths: readonly string[],
  folder: string,
  loading: (file: string) => Promise<void>,
): Promise<FoundHandlers> {
  const named = (path: string): string => {
    const near = relative(folder, path)
    return near.startsWith('..') ? path : near
  }
  const found: FoundHandler[] = []
  const notes: string[] = []
  const modules = paths.flatMap((path) => modulesOf(path, folder))
  for (const path of new Set(modules)) {
    const file = named(path)
    await loading(file)
    const exported = Object.entries(await load(path, file))
    const handlers = new Set(
      exported.flatMap(([, value]) => (Array.isArray(value) ? value : [value])).filter(isHandler),
    )
    const contracts = exported.filter(([, value]) => isContract(value)).map(([name]) => name)
    if (handlers.size === 0) notes.push(whyNone(file, contracts))
    for (const handler of handlers) {
      // The same handler, exported by an index module once more.
      if (found.some((other) => other.handler === handler)) continue
      const rival = found.find((other) => other.handler.job.name === handler.job.name)
      if (rival !== undefined) throw twice(handler.job.name, rival.file, file)
      found.push({ handler, file })
    }
  }
  if (found.length === 0) {
    const looked = notes.length === 0 ? `there is no module in ${paths.join(', ')}` : notes.join('; ')
    throw new ForgeError(
      'CONFIG',
      `no handler was found: ${looked}; a handler is what defineJob(name, spec, fn) or job.handler(fn) gives, exported`,
    )
  }
  return { handlers: found, notes }
}

function modulesOf(given: string, folder: string): string[] {
  const path = resolve(folder, given)
  if (!existsSync(path)) {
    const matches = isGlob(given) ? glob(given, folder).filter((file) => isModule(file) && !isTest(file)) : []
    if (matches.length > 0) return matches
    const what = isGlob(given) ? `no module matches ${given}` : `there is no ${given}`
    throw new ForgeError('CONFIG', `${what} in ${folder}: give the file, folder or pattern that holds the handlers`)
  }
  if (!statSync(path).isDirectory()) return [path]
  const modules = filesBelow(path).filter((file) => isModule(file) && !isTest(relative(path, file)))
  // Where the built module lies beside its source, the built one is meant.
  return modules.filter((file) => !modules.includes(file.replace(/ts$/, 'js')) || extname(file).endsWith('js'))
}

async function load(path: string, file: string): Promise<object> {
  try {
    return (await import(pathToFileURL(path).href)) as object
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
      throw new ForgeError(
        'CONFIG',
        `${file} leads to TypeScript, which Node ${process.version} does not run; build it and give the built folder, use ` +
          `Node 22.18 or newer, or bring a loader: NODE_OPTIONS='--import tsx'`,
        { cause: error },
      )
    }
    const isOwnName = code === 'ERR_MODULE_NOT_FOUND' && /'forgeq'/.test((error as Error).message)
    const hint = isOwnName ? '; `npm install forgeq` in this folder brings it' : ''
    const message = `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}${hint}`
    throw new ForgeError('CONFIG', `${file} cannot be loaded: ${message}`, { cause: error })
  }
}

/** By its shape: the module may have loaded another copy of this package. */
const isHandler = (value: unknown): value is Handler =>
  isObject(value) && typeof value['fn'] === 'function' && isContract(value['job'])

const isContract = (value: unknown): boolean =>
  isObject(value) &&
  typeof value['name'] === 'string' &&
  isObject(value['policy']) &&
  typeof value['with'] === 'function'

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function whyNone(file: string, contracts: readonly string[]): string {
  const [contract] = contracts
  return contract === undefined
    ? `${file} exports no handler`
    : `${file} exports the job ${contract} without its function: export ${contract}.handler(fn) as well, or give only ${basename(file)}'s handlers`
}

const twice = (type: string, first: string, second: string): ForgeError =>
  new ForgeError(
    'CONFIG',
    first === second
      ? `${first} exports two handlers for ${type}: keep one of them`
      : `${first} and ${second} both handle ${type}: keep one of them, or give only the files that are meant`,
  )
