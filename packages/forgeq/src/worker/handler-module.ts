// Which module a handler was loaded from: what a thread or process of its own has to load to run it.
import type { Isolation } from '../core/policy.ts'
import type { Handler } from '../job.ts'

const modules = new WeakMap<Handler, string>()

/** `module` is a URL. The first one stays: others may export the handler once more. */
export function rememberModule(handler: Handler, module: string): void {
  if (!modules.has(handler)) modules.set(handler, module)
}

/** `undefined` for a handler that was made in this process, or handed over as a value. */
export const moduleOf = (handler: Handler): string | undefined => modules.get(handler)

/**
 * How a claim is to be run: as its type says, and in a process of its own when it was running in a crash before, so that
 * whatever kills its process next time kills nothing else.
 */
export function isolationOf(handler: Handler, crashes: number): Isolation {
  const { isolation = 'inline' } = handler.job.policy
  return crashes > 0 && modules.has(handler) ? 'process' : isolation
}
