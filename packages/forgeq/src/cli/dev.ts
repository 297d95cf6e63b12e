// `forgeq dev`: the HTTP API and supervised workers in one tree on one store, for trying and developing.
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { ForgeError } from '../core/errors.ts'
import { configOf, withForge } from './connect.ts'
import type { Flags } from './config.ts'
import { defaultFolder } from './default-folder.ts'
import { demoFile } from './demo-file.ts'
import { hearEarlyEnd } from './early-end.ts'
import { firstHandlerFile, isInstalled, wantsFirstHandler, writeFirstHandler } from './first-handler.ts'
import { logOptions } from './log-options.ts'
import { crewOptions, serveOptions } from './options.ts'
import { say } from './output.ts'

export function define(command: Command): void {
  serveOptions(crewOptions(command))
    .argument(
      '[handlers...]',
      `modules that export handlers: files, folders, patterns (default: ${defaultFolder}, else a demo)`,
    )
    .option('--init', `write a first handler to ${firstHandlerFile}`)
    .action(async (paths: string[], flags: Flags & { init?: true }) => {
      readEnvFile()
      const config = await configOf(flags)
      const handlers = await handlersOf(paths, flags.init === true)
      const startedAt = performance.now()
      hearEarlyEnd()
      const [{ serve }, { createLog, logEvents }, { runCrew }] = await Promise.all([
        import('../server/index.ts'),
        import('../observe/log.ts'),
        import('./crew.ts'),
      ])
      const log = createLog(logOptions(config))
      const { host, port } = config
      const onError = (error: unknown, requestId?: string): void =>
        log.error({ err: error, requestId }, 'request failed')
      process.exitCode = await withForge(config, async (forge) => {
        logEvents(forge, log)
        const server = await serve({ forge, host, port, onError })
        console.log(`ForgeQ dev listens on ${server.url}`)
        const ready = (): void => {
          console.log(`Ready in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`)
          if (handlers.includes(demoFile)) say(demoHint)
        }
        try {
          return await runCrew({ config, store: forge.store, handlers, drain: false, ready })
        } finally {
          await server.stop()
        }
      })
    })
}

const envFile = '.env'

/** What is set in the environment stays. */
function readEnvFile(): void {
  if (!existsSync(envFile)) return
  const wasSet = process.env['FORGEQ_STORE']
  try {
    process.loadEnvFile(envFile)
  } catch (cause) {
    throw new ForgeError('CONFIG', `${envFile} cannot be read: ${(cause as Error).message}`, { cause })
  }
  if (process.env['FORGEQ_STORE'] === wasSet) return
  say(`The store is that of ${envFile}. Other commands do not read it: give them FORGEQ_STORE or --store.`)
}

async function handlersOf(paths: readonly string[], init: boolean): Promise<readonly string[]> {
  if (paths.length > 0 && !init) return paths
  if (!init && existsSync(defaultFolder)) return [defaultFolder]
  if (!init && !(await wantsFirstHandler())) return [demoFile]
  writeFirstHandler(process.cwd())
  say(`Wrote ${firstHandlerFile}.`)
  if (isInstalled(process.cwd())) return [defaultFolder, ...paths]
  say(
    'It imports forgeq, which is not installed here: `npm install forgeq`, then start again. Until then, a demo runs.',
  )
  return [demoFile]
}

const demoHint = `
There are no handlers here yet, so a demo runs. In another terminal of this folder:
  npx forgeq enqueue hello '{"name":"Ada"}' --wait
  npx forgeq enqueue flaky && npx forgeq status
A first handler of your own goes into ${firstHandlerFile}: \`npx forgeq dev --init\` writes it.
`
