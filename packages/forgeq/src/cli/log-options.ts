// How the log looks: as the settings say, and as the terminal can.
import type { LogOptions } from '../observe/log.ts'
import type { Config } from './config.ts'
import { paint } from './output.ts'

export const logOptions = ({ logLevel, logFormat }: Config): LogOptions => ({
  level: logLevel,
  format: logFormat === 'auto' ? (process.stdout.isTTY ? 'pretty' : 'json') : logFormat,
  colours: paint('red', '') !== '',
})
