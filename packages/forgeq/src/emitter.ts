// Tells whoever listens what the engine does. Listeners watch: what they throw is reported and changes nothing.
import type { EngineEvents, EngineListener } from './core/events.ts'

export class Emitter {
  readonly #listeners = new Map<keyof EngineEvents, Set<EngineListener<never>>>()

  /** Returns what stops listening. */
  on<E extends keyof EngineEvents>(name: E, listener: EngineListener<E>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(name)
    }
  }

  /** Whether an event is worth making. */
  hears(name: keyof EngineEvents): boolean {
    return this.#listeners.has(name)
  }

  emit<E extends keyof EngineEvents>(name: E, event: EngineEvents[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as EngineListener<E>)(event)
      } catch (error) {
        process.emitWarning(`a listener of ${name} threw: ${String(error)}`, 'ForgeQWarning')
      }
    }
  }
}
