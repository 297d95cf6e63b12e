// Hears from the system that a file is being written: sooner than looking now and then would show it, and at no cost while
// nobody writes. A hint only: some systems tell late or not at all.
import { watch, type FSWatcher } from 'node:fs'

export class FileWatch {
  readonly #path: string
  readonly #told: () => void
  #watcher: FSWatcher | undefined

  constructor(path: string, told: () => void) {
    this.#path = path
    this.#told = told
  }

  get isOn(): boolean {
    return this.#watcher !== undefined
  }

  start(): void {
    if (this.isOn) return
    try {
      this.#watcher = watch(this.#path, { persistent: false }, this.#told)
      this.#watcher.on('error', () => this.stop())
    } catch {
      // No such file yet, or no more watches to be had: whoever needs to know looks by itself.
    }
  }

  stop(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
