// Finds handlers: from files, folders and patterns to the modules meant, and from what those export to one handler per
// job type. Runs the modules' code, so only whoever runs handlers does this: workers, and the children of isolated ones.
import { existsSync, statSync } from 'node:fs'
import { basename, extname, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ForgeError } from '../core/errors.ts'
import type { Handler } from '../job.ts'
import { filesBelow, glob, isGlob } from './glob.ts'
import { rememberModule } from './handler-module.ts'

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
  paths: readonly (string | URL)[],
  folder: string,
  loading?: (file: string) => Promise<void>,
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
    await loading?.(file)
    const module = pathToFileURL(path).href
    const exported = await load(module, file)
    const handlers = handlersOf(exported)
    if (handlers.size === 0) notes.push(whyNone(file, exported))
    for (const handler of handlers) {
      // The same handler, exported by an index module once more.
      if (found.some((other) => other.handler === handler)) continue
      const rival = found.find((other) => other.handler.job.name === handler.job.name)
      if (rival !== undefined) throw twice(handler.job.name, rival.file, file)
      rememberModule(handler, module)
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

/** The handler of `type` that the module at the URL `module` exports; CONFIG when there is none. */
export async function handlerIn(module: string, type: string): Promise<Handler> {
  for (const handler of handlersOf(await load(module, module))) if (handler.job.name === type) return handler
  throw new ForgeError('CONFIG', `${module} exports no handler for ${type}, as it did when the worker loaded it`)
}

function modulesOf(where: string | URL, folder: string): string[] {
  const given = /^file:/i.test(String(where)) ? fileURLToPath(where) : String(where)
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

async function load(module: string, file: string): Promise<object> {
  try {
    return (await import(module)) as object
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

const handlersOf = (exported: object): Set<Handler> =>
  new Set(
    Object.values(exported)
      .flatMap((value: unknown): unknown[] => (Array.isArray(value) ? value : [value]))
      .filter(isHandler),
  )

/** By its shape: the module may have loaded another copy of this package. */
const isHandler = (value: unknown): value is Handler =>
  isObject(value) && typeof value['fn'] === 'function' && isContract(value['job'])

const isContract = (value: unknown): boolean =>
  isObject(value) &&
  typeof value['name'] === 'string' &&
  isObject(value['policy']) &&
  typeof value['with'] === 'function'

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function whyNone(file: string, exported: object): string {
  const contract = Object.entries(exported).find(([, value]) => isContract(value))?.[0]
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
