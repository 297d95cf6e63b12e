// Runs `forgeq dev` (API, workers and scheduler of the shop in one tree) as a child process and stops it cleanly.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export interface ForgeqDev {
  /** Of its API. */
  readonly url: string
  /** Rejects when it ends without having been told to. */
  readonly lost: Promise<never>
  stop(): Promise<void>
}

/** Resolves when the API answers and the workers run; `signal` gives up waiting for that. */
export async function startForgeqDev(
  handlers: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ForgeqDev> {
  signal.throwIfAborted()
  const child = spawn(process.execPath, [findCommand(), 'dev', handlers], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C reaches this process only, which stops the child before the mail server.
    detached: true,
  })
  process.once('exit', () => child.kill())

  let told = false
  const ended = once(child, 'exit')
  const lost = new Promise<never>((_resolve, reject) => {
    child.once('exit', (code, killedBy) => {
      if (!told) reject(new Error(`forgeq dev ended by itself (${killedBy ?? `exit code ${code}`}): see above`))
    })
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  const stop = async () => {
    told = true
    child.kill()
    await ended
  }
  try {
    const url = await Promise.race([printedAddress(child), lost])
    await Promise.race([untilReady(url, signal), lost])
    return { url, lost, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function findCommand(): string {
  const require = createRequire(import.meta.url)
  const manifest = require.resolve('forgeq/package.json')
  const { bin } = require(manifest) as { bin: { forgeq: string } }
  return join(dirname(manifest), bin.forgeq)
}

/** Passes on what the child prints and finds the address of its API in it. */
function printedAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let printed = ''
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk: Buffer) => {
        // The line that shows the progress gives way to it.
        process[name].write(process[name].isTTY ? `\r\u001B[2K${chunk.toString()}` : chunk)
        printed = `${printed}${chunk.toString()}`.slice(-2000)
        const address = /http:\/\/[\w.]+:\d+(?=\D)/.exec(printed)
        if (address) resolve(address[0])
      })
    }
  })
}

async function untilReady(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/readyz`, { signal }).catch(() => undefined)
    if (answer?.ok) return
    await wait(100, undefined, { signal })
  }
}
