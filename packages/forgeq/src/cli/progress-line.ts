// How far long work is, on standard error: a line that changes on a terminal, elsewhere a line every five seconds.

const terminalMs = 100
const plainMs = 5_000

export interface ProgressLine {
  show(done: number): void
  end(): void
}

interface Stream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export function progressLine(verb: string, stream: Stream = process.stderr): ProgressLine {
  const startedAt = performance.now()
  let nextAt = startedAt + (stream.isTTY === true ? terminalMs : plainMs)
  return {
    show(done) {
      const now = performance.now()
      if (now < nextAt) return
      nextAt = now + (stream.isTTY === true ? terminalMs : plainMs)
      const rate = Math.round(done / ((now - startedAt) / 1000))
      const words = `${verb} ${done.toLocaleString('en')}, ${rate.toLocaleString('en')}/s`
      stream.write(stream.isTTY === true ? `${words}\u001B[K\r` : `${words}\n`)
    },
    end() {
      if (stream.isTTY === true) stream.write('\u001B[K')
    },
  }
}
