// Lines from a pipe to another process, which may break at any moment: that is told by the end of the process, not here.
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'

export function readLines(pipe: Socket, hear: (line: string) => void): void {
  pipe.on('error', () => pipe.destroy())
  createInterface({ input: pipe })
    .on('line', hear)
    // The same one, which it would throw otherwise.
    .on('error', () => {})
}
