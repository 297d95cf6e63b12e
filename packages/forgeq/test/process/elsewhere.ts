// Runs commands where another network, another host name and other process ids are, as on another machine of the same time.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { preparedBy } from './scene.ts'

export const otherHost = 'elsewhere'

const unshare = [
  'unshare',
  // Whoever is not root may be so inside, on many machines.
  ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
  '--net',
  '--uts',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
]

/** Processes there get the numbers behind this one, which nobody has here: whoever takes them for ours finds them dead. */
const lastPid = ((): number => {
  const isFree = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      return false
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH'
    }
  }
  for (let first = 300, pid = first; ; pid++) {
    if (!isFree(pid)) first = pid
    else if (pid - first === 300) return first
  }
})()

/** Runs what follows it there; whoever kills it kills all that runs there. */
export const elsewhere: readonly string[] = [
  ...unshare,
  ...preparedBy(`hostname ${otherHost} && echo ${lastPid} > /proc/sys/kernel/ns_last_pid`),
]

const attempt = spawnSync(elsewhere[0]!, [...elsewhere.slice(1), 'true'], { encoding: 'utf8' })

/** Why that cannot be done on this machine. */
export const refusal: string | false =
  attempt.status !== 0 && `needs \`unshare --net --uts --pid\`: ${(attempt.error?.message ?? attempt.stderr).trim()}`

/** The process of this number there, in our numbers. `parent`: what `elsewhere` was started as. */
export function hereOf(pidThere: number, parent: number): number {
  const childrenOf = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
  const isIt = (pid: number): boolean =>
    new RegExp(`^NSpid:.*\\t${pidThere}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  const found = childrenOf(parent).flatMap(childrenOf).find(isIt)
  if (found === undefined) throw new Error(`no process ${pidThere} of ${parent} there`)
  return found
}
