// The history of a run on disk: a file per process, each event one line, written in one piece before or after what it tells
// of, so that the death of a process loses none.
import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import type { Event, Fact } from './events.ts'

export type Note = (fact: Fact) => void

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** Opens the file of this process; `role` is in its name. */
export function openHistory(folder: string, role: string): Note {
  const fd = openSync(join(folder, `${role}-${process.pid}.jsonl`), 'a')
  const who = { pid: process.pid, ...(!isMainThread && { thread: threadId }) }
  return (fact) => void writeSync(fd, `${JSON.stringify({ t: monotonicMs(), ...who, ...fact })}\n`)
}

/** Every event of the processes whose role begins with `role`, in the order of their instants. */
export function readHistory(folder: string, role = ''): Event[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(role) && name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Event)
    .sort((a, b) => a.t - b.t)
}

/** The processes whose role begins with `role` that ever wrote a history. */
export const pidsOf = (folder: string, role: string): number[] =>
  readdirSync(folder)
    .map((name) => /^([a-z-]+)-(\d+)\.jsonl$/.exec(name))
    .filter((match) => match?.[1]?.startsWith(role))
    .map((match) => Number(match![2]))
    .sort((a, b) => a - b)
