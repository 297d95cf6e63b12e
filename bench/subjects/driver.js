// Which better-sqlite3, with which SQLite in it.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const driverOf = (name, db) => {
  const { version } = require(`${name}/package.json`)
  return `better-sqlite3 ${version}, SQLite ${db.prepare('SELECT sqlite_version()').pluck().get()}`
}
