// Every flag that can be given is read by somebody: one that is only accepted looks as if it worked.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { readConfig, type Flags } from '#src/cli/config.js'
import { crewOptions, serveOptions } from '#src/cli/options.js'
import { settings, type SettingName } from '#src/cli/settings.js'
import { temporaryFolder } from './command.ts'

const names = Object.keys(settings) as SettingName[]
const nameOf = (key: string): SettingName | undefined => names.find((name) => settings[name].key === key)

test('every flag of a setting sets it, and is refused when it is no such value', async (t) => {
  const folder = temporaryFolder(t)
  for (const option of serveOptions(crewOptions(new Command())).options) {
    const key = option.attributeName()
    const name = nameOf(key)
    assert.ok(name, `${option.long} belongs to no setting`)
    const flagsFor = (value: string): Flags =>
      serveOptions(crewOptions(new Command())).parse([option.long!, value], { from: 'user' }).opts()
    const config = await readConfig({ flags: flagsFor(settings[name].example), env: {}, folder })
    assert.equal(config.origins[name], 'flag', option.long)
    assert.deepEqual(config[name], settings[name].read(settings[name].example), option.long)
    await assert.rejects(readConfig({ flags: flagsFor(''), env: {}, folder }), { code: 'CONFIG' }, option.long)
  }
})

const folder = new URL('../../dist/cli/', import.meta.url)
const modules = readdirSync(folder)
  .filter((file) => file.endsWith('.js'))
  .map((file) => ({ url: new URL(file, folder), text: readFileSync(new URL(file, folder), 'utf8') }))

/** Without comments and the options themselves, a name that is left is one that is read. */
function readNames(): Set<string> {
  const text = modules.map((module) => module.text).join('\n')
  const code = text.replaceAll(/^\s*\/\/.*$/gm, '').replaceAll(/\.option\([^\n]*/g, '')
  return new Set(code.match(/[\w$]+/g))
}

test('every flag of a command is a setting, or its command reads it', async () => {
  const read = readNames()
  const unread: string[] = []
  let commands = 0
  const check = (command: Command, path: string): void => {
    for (const option of command.options) {
      const key = option.attributeName()
      if (nameOf(key) === undefined && !read.has(key)) unread.push(`${path} ${option.long}`)
    }
    for (const sub of command.commands) check(sub, `${path} ${sub.name()}`)
  }
  for (const { url, text } of modules) {
    if (!text.includes('export function define(')) continue
    const { define } = (await import(url.href)) as { define: (command: Command) => void }
    const command = new Command(basename(url.pathname, '.js'))
    define(command)
    commands += 1
    check(command, command.name())
  }
  assert.ok(commands > 8, `only ${commands} commands were seen`)
  assert.deepEqual(unread, [])
})
