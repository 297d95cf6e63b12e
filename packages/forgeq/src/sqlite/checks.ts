// What must hold before a file is trusted: a local file system, and a schema this version understands.
import { existsSync, mkdirSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { ForgeError } from '../core/errors.ts'
import type { Migration } from '../store/store.ts'
import { openDeadlineMs, withBusyRetry, type Database } from './connect.ts'
import { dropEnqueueView, makeEnqueueView } from './enqueue-view.ts'
import { migrations, tooNew } from './schema.ts'

/** statfs magic numbers of file systems whose locks or shared memory SQLite's WAL cannot rely on. */
const networkFileSystems: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB2',
  0x01021997: '9p',
  0x5346414f: 'AFS',
  0x00c36400: 'Ceph',
  0x47504653: 'GPFS',
  0x0bd00bd0: 'Lustre',
}
const fuse = 0x65735546
const tmpfs = 0x01021994

/** What is wrong with a file system, by its magic number: refused, or worth a warning. */
export const judgeFileSystem = (folder: string, magic: number): { refused?: string; warning?: string } => {
  const network = networkFileSystems[magic]
  if (network !== undefined) {
    return {
      refused: `${folder} is on a network file system (${network}), where SQLite files get corrupted; use a local disk`,
    }
  }
  if (magic === fuse) {
    return { warning: `${folder} is on FUSE: SQLite is safe there only when all processes are on this machine` }
  }
  return magic === tmpfs ? { warning: `${folder} is in memory (tmpfs): a reboot takes all jobs away` } : {}
}

/** Step by step: below /proc the recursive mkdir of Node 20 never comes back. */
const makeFolder = (folder: string): void => {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Makes the folder of the file, refuses network file systems; answers problems worth a warning. */
export const checkFileSystem = (path: string, allowUnsafe: boolean): string[] => {
  if (path === ':memory:') return []
  const folder = dirname(path)
  try {
    makeFolder(folder)
  } catch (cause) {
    throw new ForgeError(
      'STORE_UNAVAILABLE',
      `the folder ${folder} of the SQLite file cannot be made; check its path and mode`,
      { cause },
    )
  }
  const { refused, warning } = judgeFileSystem(folder, statfsSync(folder).type >>> 0)
  if (refused !== undefined && !allowUnsafe) {
    throw new ForgeError('STORE_UNSAFE', `${refused} (FORGEQ_ALLOW_VOLATILE=1 goes on at your risk)`)
  }
  return [refused ?? warning].filter((problem) => problem !== undefined)
}

const findTable = /* sql */ `SELECT 1 FROM sqlite_schema WHERE name = 'forgeq_migration'`
// Our own table, not user_version: the file may also be the application's database.
const addTable = /* sql */ `CREATE TABLE IF NOT EXISTS forgeq_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)`
const applied = /* sql */ `SELECT max(version) AS version FROM forgeq_migration`
const noteStep = /* sql */ `INSERT INTO forgeq_migration (version, name, at) VALUES (?, ?, ?)`

export const schemaVersion = (db: Database): number => {
  if (db.prepare(findTable).get() === undefined) return 0
  return (db.prepare(applied).get() as { version: number | null }).version ?? 0
}

/** What would be done to a file of `version`; 0: an empty one, or none. */
export const planFrom = (version: number): Migration => ({
  version,
  target: migrations.length,
  steps: migrations.slice(version).map((step) => step.name),
})

/** Applies what is missing in one transaction: two migrators at once are harmless, the second finds nothing to do. */
export const migrate = (db: Database, mode: 'plan' | 'apply', now: number): Migration => {
  const target = migrations.length
  const before = withBusyRetry(() => schemaVersion(db), openDeadlineMs)
  if (before > target) throw tooNew(before)
  if (mode === 'plan' || before === target) return planFrom(before)
  withBusyRetry(() => db.exec('BEGIN IMMEDIATE'), openDeadlineMs)
  try {
    const version = schemaVersion(db)
    if (version > 0 && version < target) refuseWithWorkers(db, now)
    db.exec(addTable)
    db.exec(dropEnqueueView)
    for (const [i, step] of migrations.entries()) {
      if (i < version) continue
      db.exec(step.sql)
      db.prepare(noteStep).run(i + 1, step.name, now)
    }
    db.exec(makeEnqueueView)
    db.exec('COMMIT')
    return { ...planFrom(version), version: target }
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

const liveWorkers = /* sql */ `
  SELECT count(*) AS n FROM forgeq_worker WHERE closed = 0 AND left_at IS NULL AND expires_at > ?`

/** They run the code of the version before, which would go on writing as if nothing had changed. */
const refuseWithWorkers = (db: Database, now: number): void => {
  const { n } = db.prepare(liveWorkers).get(now) as { n: number }
  if (n === 0) return
  const message = `${n} workers of the version before run on this file: stop them, then migrate; one that was killed counts until its lease is over`
  throw new ForgeError('STATE_CONFLICT', message)
}

/** An empty file gets the schema, an old one is refused until `forgeq migrate` was run. */
export const checkSchema = (db: Database, now: number): void => {
  const version = withBusyRetry(() => schemaVersion(db), openDeadlineMs)
  if (version === 0) migrate(db, 'apply', now)
  else if (version > migrations.length) throw tooNew(version)
  else if (version < migrations.length) {
    throw new ForgeError(
      'MIGRATION_NEEDED',
      `the file has schema version ${version}, this ForgeQ needs ${migrations.length}; run \`forgeq migrate\``,
    )
  }
}
