// Looks at the main thread from another one while it is blocked: what runs, by its own word, and where its JavaScript is.
import type { Debugger, Session } from 'node:inspector'

const mostFrames = 30

export interface Look {
  /** What the global function that was asked for returned. */
  readonly told?: string
  /** Innermost first; without JavaScript on the stack there is none. */
  readonly stack?: readonly string[]
  /** Why there is nothing to see. */
  readonly failure?: string
}

/**
 * Never rejects. `symbol`: of a global function that returns a text. `withinMs`: for each answer; a main thread that runs
 * JavaScript gives them in a few milliseconds. `stack`: the debugger is started for it, which slows what runs.
 */
export async function lookAtMainThread(
  symbol: string,
  { withinMs, stack: wantsStack }: { readonly withinMs: number; readonly stack: boolean },
): Promise<Look> {
  let session: Session | undefined
  try {
    // Not in every build of node.
    const inspector = await import('node:inspector')
    session = new inspector.Session()
    session.connectToMainThread()
    const told = await within<string>(withinMs, (tell) => {
      const expression = `globalThis[Symbol.for(${JSON.stringify(symbol)})]()`
      session!.post('Runtime.evaluate', { expression }, (_error, answer) => tell(answer?.result.value as string))
    })
    if (told === undefined) return { failure: 'it is inside native code, such as execSync, or has no time to answer' }
    const stack = wantsStack ? await pausedAt(session, withinMs) : undefined
    return { told, ...(stack && { stack }) }
  } catch (error) {
    return { failure: `the inspector does not work here: ${String(error)}` }
  } finally {
    session?.disconnect()
  }
}

function pausedAt(session: Session, withinMs: number): Promise<readonly string[] | undefined> {
  const scripts = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => scripts.set(scriptId, url))
  return within(withinMs, (tell) => {
    session.on('Debugger.paused', ({ params }) => {
      session.post('Debugger.resume')
      tell(params.callFrames.slice(0, mostFrames).map((frame) => describe(frame, scripts)))
    })
    session.post('Debugger.enable')
    session.post('Debugger.pause')
  })
}

/** Lines and columns as in `Error.stack`: from 1. */
function describe(frame: Debugger.CallFrame, scripts: ReadonlyMap<string, string>): string {
  const { scriptId, lineNumber, columnNumber = 0 } = frame.location
  const url = frame.url || scripts.get(scriptId) || '<anonymous>'
  const place = `${url}:${lineNumber + 1}:${columnNumber + 1}`
  return frame.functionName === '' ? `at ${place}` : `at ${frame.functionName} (${place})`
}

function within<T>(ms: number, start: (tell: (value: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    start((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}
