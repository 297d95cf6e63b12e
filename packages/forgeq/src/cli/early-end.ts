// Signals that come while a command still waits for its store: no worker is there yet, so there is nothing to hand back.
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

const end = (): void => process.exit(0)

/** Until `forgetEarlyEnd` a signal ends the process at once. */
export function hearEarlyEnd(): void {
  for (const signal of signals) process.on(signal, end)
}

export function forgetEarlyEnd(): void {
  for (const signal of signals) process.off(signal, end)
}
