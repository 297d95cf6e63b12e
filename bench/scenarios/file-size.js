// What a waiting job takes up in the file, everything that is kept about it included.
import Database from 'better-sqlite3-12'

export const scenario = {
  id: 'file-size',
  title: 'file, per waiting job',
  figures: { bytes: 'bytes/job' },
  cases: () => [{ ready: 50_000, jobs: 50_000 }],

  async measure({ path, jobs }) {
    const db = new Database(path)
    db.pragma('wal_checkpoint(TRUNCATE)')
    const pages = db.pragma('page_count', { simple: true }) - db.pragma('freelist_count', { simple: true })
    const bytes = (pages * db.pragma('page_size', { simple: true })) / jobs
    db.close()
    return { bytes }
  },
}
