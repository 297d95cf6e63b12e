// Where settings come from: flag, then environment (or the file a *_FILE variable names), then forgeq.config.*, then the
// default. All faults are told at once. What the settings are: settings.ts.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ForgeError, type Problem } from '../core/errors.ts'
import { nearest } from './nearest.ts'
import { settings, type SettingName, type Settings } from './settings.ts'

/** Values as they were typed after a flag, each by the key of its setting. */
export type Flags = { readonly [K in SettingName as KeyOf<K>]?: string | undefined }

/** Keys have no unit: what is typed says its own. */
type KeyOf<Name extends SettingName> = Name extends `${infer Key}Ms` ? Key : Name

interface Origin {
  /** `flag`, `default`, a variable or a file. */
  readonly origin: string
}

export interface Config extends Settings {
  readonly origins: { readonly [K in SettingName]: Origin['origin'] }
}

export interface ConfigSource {
  readonly flags: Flags
  readonly env: NodeJS.ProcessEnv
  /** Where forgeq.config.* is looked for. */
  readonly folder: string
}

const names = Object.keys(settings) as SettingName[]
const configFiles = ['forgeq.config.js', 'forgeq.config.mjs', 'forgeq.config.ts', 'forgeq.config.json']

/** CONFIG with every problem that was found. */
export async function readConfig(source: ConfigSource): Promise<Config> {
  const problems: Problem[] = []
  const file = await readFile(source.folder, problems)
  const values: Partial<Record<SettingName, unknown>> = {}
  const origins: Partial<Record<SettingName, string>> = {}
  for (const name of names) {
    const setting = settings[name]
    const found = find(name, source, file, problems)
    values[name] = setting.default
    origins[name] = found?.origin ?? 'default'
    if (found === undefined) continue
    try {
      values[name] = setting.read(found.value)
    } catch (error) {
      problems.push({ path: found.said, message: withoutName((error as Error).message) })
    }
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'one setting is' : `${problems.length} settings are`
    throw new ForgeError('CONFIG', `${count} not usable; correct what is named below`, { problems })
  }
  return { ...(values as unknown as Settings), origins: origins as Config['origins'] }
}

interface Found extends Origin {
  readonly value: unknown
  /** How a problem names it. */
  readonly said: string
}

function find(
  name: SettingName,
  { flags, env }: ConfigSource,
  file: ConfigFile,
  problems: Problem[],
): Found | undefined {
  const { variable, key } = settings[name]
  const flag = flags[key as keyof Flags]
  if (flag !== undefined) return { value: flag, origin: 'flag', said: `--${flagOf(key)}` }
  const text = env[variable]
  const path = env[`${variable}_FILE`]
  // An empty variable is how compose files and shells say "not set".
  if (text !== undefined && text !== '') {
    if (path) problems.push({ path: `${variable}_FILE`, message: `is set and so is ${variable}: unset one of them` })
    return { value: text, origin: variable, said: variable }
  }
  if (path) {
    try {
      return {
        value: readFileSync(path, 'utf8').trim(),
        origin: `${variable}_FILE (${path})`,
        said: `${variable}_FILE`,
      }
    } catch (error) {
      problems.push({
        path: `${variable}_FILE`,
        message: `names a file that cannot be read: ${(error as Error).message}`,
      })
      return undefined
    }
  }
  if (!Object.hasOwn(file.values, key)) return undefined
  return { value: file.values[key], origin: file.name, said: `${key} in ${file.name}` }
}

/** How people write it after `--`. */
export const flagOf = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

interface ConfigFile {
  readonly name: string
  readonly values: Readonly<Record<string, unknown>>
}

const noFile: ConfigFile = { name: '', values: {} }

async function readFile(folder: string, problems: Problem[]): Promise<ConfigFile> {
  const found = configFiles.filter((name) => existsSync(join(folder, name)))
  const [name] = found
  if (name === undefined) return noFile
  if (found.length > 1) problems.push({ path: found.join(', '), message: 'are there together: keep one of them' })
  try {
    const path = join(folder, name)
    const values = name.endsWith('.json')
      ? (JSON.parse(readFileSync(path, 'utf8')) as unknown)
      : ((await import(pathToFileURL(path).href)) as { default?: unknown }).default
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      problems.push({ path: name, message: 'must hold an object: export default { store: ... }' })
      return noFile
    }
    checkKeys(name, values, problems)
    return { name, values: values as Record<string, unknown> }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isTypeScript = code === 'ERR_UNKNOWN_FILE_EXTENSION'
    problems.push({
      path: name,
      message: isTypeScript
        ? `is TypeScript, which Node ${process.version} does not run: name it forgeq.config.mjs, or use Node 22.18 or newer`
        : `cannot be loaded: ${message}`,
    })
    return noFile
  }
}

function checkKeys(file: string, values: object, problems: Problem[]): void {
  const keys = names.map((name) => settings[name].key)
  for (const key of Object.keys(values)) {
    if (keys.includes(key)) continue
    const near = nearest(key, keys)
    const hint = near === undefined ? `the settings are ${keys.join(', ')}` : `did you mean ${near}?`
    problems.push({ path: `${key} in ${file}`, message: `is not a setting: ${hint}` })
  }
}

/** Core's errors begin with the option they were given; here the path says which one it is. */
const withoutName = (message: string): string => message.replace(/^\S+ (?=must )/, '')
