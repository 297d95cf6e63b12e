// Which process ids mean the same process here as where they were written down, and what follows from one that nobody has.
import { readFileSync, readlinkSync } from 'node:fs'
import type { Store } from '../store/store.ts'

/** One boot of one machine and its space of process ids: containers have their own. `null` where it cannot be told. */
export const pidSpace: string | null = readPidSpace()

function readPidSpace(): string | null {
  try {
    // Where /proc is that of another space it tells of other processes.
    if (readlinkSync('/proc/self') !== String(process.pid)) return null
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // Only Linux has both; elsewhere leases tell who is dead.
    return null
  }
}

/**
 * Closes the records of processes that are gone, as after the death of a whole tree: their jobs need not wait for the lease.
 * An id that has been given to another process only means that the lease is waited for; closing one too many would only mean
 * a second try, as with every lease.
 */
export async function closeDead(store: Store): Promise<void> {
  if (pidSpace === null) return
  for (const worker of await store.workers()) {
    if (!worker.closed && worker.pidSpace === pidSpace && isGone(worker.pid)) await store.leave(worker.id)
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

/** Dead, and nobody has asked how it ended yet: after the death of a tree that may take a while. */
function isZombie(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
}
