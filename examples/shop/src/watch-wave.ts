// Follows the work until nothing is left to do.
import { readdir } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import type { ForgeQ, JobView } from 'forgeq'
import { inData } from './folder.ts'

/** Shows a line every half second; resolves with the dead letters, rejects when `signal` aborts. */
export async function watchWave(
  forge: ForgeQ,
  show: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly JobView[]> {
  const look = (state: JobView['state']) => forge.admin.jobs({ state }, { limit: 100 })
  for (let idleLooks = 0; ;) {
    const [retrying, waiting, running, dead, mails, thumbnails] = await Promise.all([
      look('scheduled'),
      look('ready'),
      look('running'),
      look('dead'),
      countFiles('mail', '.eml'),
      countFiles('thumbnails', '.webp'),
    ])
    show(
      `mails ${mails} · thumbnails ${thumbnails} · waiting ${size(waiting)} · running ${size(running)}` +
        ` · retrying ${size(retrying)} · dead ${size(dead)}`,
    )
    // Twice in a row: a job may move from a state that is asked late to one that was asked early.
    const idle = retrying.jobs.length + waiting.jobs.length + running.jobs.length === 0
    idleLooks = idle ? idleLooks + 1 : 0
    if (idleLooks === 2) return dead.jobs
    await wait(500, undefined, { signal })
  }
}

const size = (page: { jobs: readonly unknown[]; cursor?: string }) => `${page.jobs.length}${page.cursor ? '+' : ''}`

async function countFiles(folder: 'mail' | 'thumbnails', ending: string): Promise<string> {
  const files = await readdir(inData(folder))
  return files.filter((file) => file.endsWith(ending)).length.toLocaleString('en')
}
