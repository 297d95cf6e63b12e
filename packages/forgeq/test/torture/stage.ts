// One run: starts producers and crews, has faults done to them, lets what is left end in peace, and reads what came of it.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { ForgeQ } from 'forgeq'
import type { CrewTask } from './crew.ts'
import type { Event, History } from './events.ts'
import { alive, driveFaults, signal } from './faults.ts'
import { readFinal } from './final-read.ts'
import type { Ground } from './ground.ts'
import { monotonicMs, openHistory, readHistory, type Note } from './history.ts'
import type { Plan } from './plan.ts'
import type { ProducerTask } from './producer.ts'

export interface StageOptions {
  readonly plan: Plan
  /** Histories and what processes print go here. */
  readonly folder: string
  readonly ground: Ground
  /** For what is left when the faults are over. */
  readonly drainMs: number
}

/** What works on when the faults are over. */
const healthyProcesses = 2

interface Role<T> {
  readonly module: string
  readonly task: T
  readonly failpoints: readonly string[]
  /** Whether it is started anew when it died. */
  readonly goesOn: (code: number | null) => boolean
}

export async function perform({ plan, folder, ground, drainMs }: StageOptions): Promise<History> {
  const { url } = ground
  const histories = historiesIn(folder)
  mkdirSync(histories)
  const note = openHistory(histories, 'runner')
  const startedAt = monotonicMs()
  const task = { url, folder: histories }
  const log = join(folder, 'failpoints')

  const all: Kept[] = []
  const start = <T extends { readonly folder: string }>(role: Role<T>): Kept => {
    const kept = keep(note, log, role)
    all.push(kept)
    return kept
  }
  const forge = new ForgeQ({ store: url })
  try {
    const producers = plan.producers.map((ops, i) =>
      start<ProducerTask>({
        module: 'producer',
        task: { ...task, role: `producer-${'abcdefgh'[i]}`, ops, startedAt },
        failpoints: plan.producerFailpoints[i]!,
        goesOn: (code) => code !== 0,
      }),
    )
    const crews = plan.crews.map((failpoints) =>
      start<CrewTask>({
        module: 'crew',
        task: { ...task, processes: plan.processes, failpoints },
        failpoints: [],
        goesOn: () => true,
      }),
    )
    await driveFaults(plan.faults, startedAt, { folder: histories, ground, note })
    await Promise.all(producers.map(({ over }) => over))
    for (const { stop } of crews) stop()
    await Promise.all(crews.map(({ over }) => over))
    // What is started from now on has no faults.
    const healthy = start<CrewTask>({
      module: 'crew',
      task: { ...task, processes: healthyProcesses, failpoints: [] },
      failpoints: [],
      goesOn: () => false,
    })
    const isDrained = await drained(forge, drainMs)
    healthy.stop()
    await healthy.over
    const events = [...readHistory(histories), ...stallsIn(log)].sort((a, b) => a.t - b.t)
    return { final: await readFinal(forge.store, ground, isDrained), events }
  } finally {
    for (const { stop } of all) stop()
    endAll(folder)
    await forge.close()
  }
}

const historiesIn = (folder: string): string => join(folder, 'history')

/** Ends what is left of a run, the ones that were stopped too. */
export function endAll(folder: string): void {
  for (const role of ['crew', 'producer', 'worker', 'child']) {
    for (const pid of alive(historiesIn(folder), role)) signal(pid, 'SIGKILL')
  }
}

interface Kept {
  /** It has ended and is not started again. */
  readonly over: Promise<void>
  readonly stop: () => void
}

/** A process that is started anew, with the next failpoints, as often as it dies. */
function keep<T extends { readonly folder: string }>(note: Note, log: string, role: Role<T>): Kept {
  let child: ChildProcess | undefined
  let isStopping = false
  const run = async (): Promise<void> => {
    for (let start = 0; ; start += 1) {
      const env = {
        ...process.env,
        FORGEQ_FAILPOINTS: role.failpoints[start % role.failpoints.length] ?? '',
        FORGEQ_FAILPOINT_LOG: log,
      }
      child = fork(new URL(`./${role.module}.js`, import.meta.url), { env, stdio: 'inherit' })
      child.send(role.task)
      const [code, how] = (await once(child, 'exit')) as [number | null, string | null]
      note({ e: 'died', pid: child.pid!, how: how ?? `exit code ${code}` })
      if (isStopping || !role.goesOn(code)) return
      await wait(100)
      if (isStopping) return
    }
  }
  const stop = (): void => {
    isStopping = true
    child?.kill('SIGTERM')
  }
  return { over: run(), stop }
}

/** Whether every job has ended in time; a queue that a dead producer left paused is resumed. */
async function drained(forge: ForgeQ, drainMs: number): Promise<boolean> {
  const endsAt = monotonicMs() + drainMs
  while (monotonicMs() < endsAt) {
    await wait(250)
    const queues = await forge.admin.queues()
    for (const { queue, paused } of queues) if (paused) await forge.admin.resume(queue)
    const isEmpty = queues.every(
      ({ counts }) => counts.ready + counts.scheduled + counts.blocked + counts.running === 0,
    )
    // Those that died without a word are noticed when their lease is over. A supervisor has a record without slots.
    const present = (await forge.admin.workers()).filter(({ closed, slots }) => !closed && slots > 0)
    if (isEmpty && present.length <= healthyProcesses) return true
  }
  return false
}

/** The failpoints at which a thread stood still. */
function stallsIn(log: string): Event[] {
  if (!existsSync(log)) return []
  return Array.from(readFileSync(log, 'utf8').matchAll(/stall\((\d+)\)\S* (\d+) (\S+)$/gm), ([, ms, pid, t]) => ({
    e: 'fault',
    kind: 'stall',
    t: Number(t),
    pid: Number(pid),
    ms: Number(ms),
  }))
}
