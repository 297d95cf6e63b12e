// What can be logged, from most to least. Apart from the log, so that settings can name them without loading it.

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]
