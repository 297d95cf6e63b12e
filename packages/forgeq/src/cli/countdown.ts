// What is to be seen while workers stop: how long they may still take, and which jobs they wait for.
import type { RunningJob } from '../worker/crew-talk.ts'
import { paintFor } from './paint.ts'

interface Stream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const namesShown = 3

/** On a terminal one line that counts down, elsewhere a line whenever the jobs change. Returns what ends it. */
export function countdown(
  running: () => readonly RunningJob[],
  timeoutMs: number,
  stream: Stream = process.stderr,
): () => void {
  const endsAt = performance.now() + timeoutMs
  const paint = paintFor(stream)
  let said = ''
  const show = (): void => {
    const jobs = running()
    const words = jobs.length === 0 ? 'stopping' : `stopping: waits for ${count(jobs.length)} (${nameThem(jobs)})`
    if (stream.isTTY === true) {
      const seconds = Math.max(0, Math.ceil((endsAt - performance.now()) / 1000))
      // The cursor goes back to the start, so that the next line of the log takes its place.
      return void stream.write(`${paint('yellow', words)} ${seconds} s, Ctrl-C hands them back now\u001B[K\r`)
    }
    if (words !== said) stream.write(`${words}, for at most ${Math.round(timeoutMs / 1000)} s\n`)
    said = words
  }
  show()
  const timer = setInterval(show, 200)
  return () => {
    clearInterval(timer)
    if (stream.isTTY === true) stream.write('\u001B[K')
  }
}

const count = (jobs: number): string => (jobs === 1 ? '1 job' : `${jobs} jobs`)

function nameThem(jobs: readonly RunningJob[]): string {
  const names = jobs.slice(0, namesShown).map(({ type, id }) => `${type} ${id}`)
  return names.join(', ') + (jobs.length > namesShown ? `, and ${jobs.length - namesShown} more` : '')
}
