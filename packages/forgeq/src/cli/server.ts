// `forgeq server`: the HTTP API and the duties that keep delays, rescue and retention going; no jobs run in it.
import type { Command } from 'commander'
import { configOf, withForge } from './connect.ts'
import type { Flags } from './config.ts'
import { logOptions } from './log-options.ts'
import { serveOptions, storeOption } from './options.ts'
import { say } from './output.ts'

export function define(command: Command): void {
  serveOptions(storeOption(command))
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .action(async (flags: Flags) => {
      const config = await configOf(flags)
      const [{ serve }, { createLog, logEvents }] = await Promise.all([
        import('../server/index.ts'),
        import('../observe/log.ts'),
      ])
      const log = createLog(logOptions(config))
      await withForge(config, async (forge) => {
        logEvents(forge, log)
        const server = await serve({
          forge,
          host: config.host,
          port: config.port,
          onError: (error, requestId) => log.error({ err: error, requestId }, 'request failed'),
        })
        console.log(`ForgeQ listens on ${server.url}`)
        process.on('SIGQUIT', () => say('no handlers run in this process'))
        await stopSignal()
        say('stopping')
        // A store that does not answer must not keep the process.
        setTimeout(() => process.exit(), config.shutdownTimeoutMs).unref()
        await server.stop()
      })
    })
}

/** Resolves when the process is told to stop; the second time it ends at once, as it would without this. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}
