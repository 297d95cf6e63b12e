// The options that `worker` and `dev` share.
import type { Command } from 'commander'
import type { Flags } from './config.ts'

export type CrewFlags = Flags

export const crewOptions = (command: Command): Command =>
  command
    .option('-q, --queues <list>', 'queues to serve, with slots: emails,default:5 (default: those of the handlers)')
    .option('-c, --concurrency <n>', 'jobs that one process runs at a time (default: 10)')
    .option('-p, --processes <n>', 'worker processes (default: 1)')
    .option('--store <url>', 'where jobs live (default: FORGEQ_STORE, else sqlite:.forgeq/forgeq.db)')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .option('--shutdown-timeout <duration>', 'how long stopping may take (default: 25s)')
