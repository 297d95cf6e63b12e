// Looks at a thread from another one while it is blocked: what it tells by its own word, and where its JavaScript is.
import type { Debugger, Runtime, Session } from 'node:inspector'
import { toFailure } from '../core/failure.ts'

const mostFrames = 30

export interface Look {
  /** What the global function that was asked for returned. */
  readonly told?: string
  /** Innermost first; without JavaScript on the stack there is none. */
  readonly stack?: readonly string[]
  /** Why there is nothing to see. */
  readonly failure?: string
}

export interface Looking {
  /** For each answer; a thread that runs JavaScript gives them in a few milliseconds. */
  readonly withinMs: number
  /** Symbol of a global function that returns a text. */
  readonly ask?: string
  /** The debugger is started for it, which slows what runs. */
  readonly stack: boolean
}

/** What of the inspector's protocol looking takes. */
interface Wire {
  post(method: string, params?: object, hear?: (result: unknown) => void): void
  on(method: string, hear: (params: unknown) => void): void
}

/** The main thread of this process, from any other one. Never rejects. */
export const lookAtMainThread = (looking: Looking): Promise<Look> =>
  inspecting((session) => {
    session.connectToMainThread()
    return lookThrough(directly(session), looking)
  })

/** Another thread that this one has started, by its `threadId`. Never rejects. */
export const lookAtThread = (threadId: number, looking: Looking): Promise<Look> =>
  inspecting(async (session) => {
    session.connect()
    const sessionId = await within<string>(looking.withinMs, (tell) => {
      session.on('NodeWorker.attachedToWorker', ({ params }) => {
        // The ids of this domain are its own; a name follows the number.
        if (`${params.workerInfo.title} `.startsWith(`[worker ${threadId}] `)) tell(params.sessionId)
      })
      session.post('NodeWorker.enable', { waitForDebuggerOnStart: false })
    })
    if (sessionId === undefined) return { failure: 'there is no such thread' }
    return lookThrough(throughWorker(session, sessionId), looking)
  })

async function inspecting(look: (session: Session) => Promise<Look>): Promise<Look> {
  let session: Session | undefined
  try {
    // Not in every build of node.
    const inspector = await import('node:inspector')
    session = new inspector.Session()
    return await look(session)
  } catch (error) {
    return { failure: `the inspector does not work here: ${toFailure(error).message}` }
  } finally {
    session?.disconnect()
  }
}

async function lookThrough(wire: Wire, { ask, withinMs, stack: wantsStack }: Looking): Promise<Look> {
  const told = await within<string>(withinMs, (tell) => {
    const expression = ask === undefined ? `''` : `globalThis[Symbol.for(${JSON.stringify(ask)})]()`
    wire.post('Runtime.evaluate', { expression }, (answer) => {
      tell((answer as Runtime.EvaluateReturnType | undefined)?.result.value as string)
    })
  })
  if (told === undefined) return { failure: 'it is inside native code, such as execSync, or has no time to answer' }
  const stack = wantsStack ? await pausedAt(wire, withinMs) : undefined
  return { told, ...(stack && { stack }) }
}

const directly = (session: Session): Wire => ({
  post: (method, params, hear) =>
    session.post(method, params, (_error: Error | null, result?: object) => hear?.(result)),
  on: (method, hear) => session.on(method, ({ params }: { params: unknown }) => hear(params)),
})

/** Messages as text inside of messages. */
function throughWorker(session: Session, sessionId: string): Wire {
  const answers: (((result: unknown) => void) | undefined)[] = []
  const events = new Map<string, (params: unknown) => void>()
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (params.sessionId !== sessionId) return
    const message = JSON.parse(params.message) as { id?: number; method?: string; params?: unknown; result?: unknown }
    if (message.id === undefined) events.get(message.method!)?.(message.params)
    else answers[message.id]?.(message.result)
  })
  return {
    post: (method, params, hear) => {
      const message = JSON.stringify({ id: answers.length, method, params })
      answers.push(hear)
      session.post('NodeWorker.sendMessageToWorker', { sessionId, message })
    },
    on: (method, hear) => events.set(method, hear),
  }
}

function pausedAt(wire: Wire, withinMs: number): Promise<readonly string[] | undefined> {
  const scripts = new Map<string, string>()
  wire.on('Debugger.scriptParsed', (params) => {
    const { scriptId, url } = params as Debugger.ScriptParsedEventDataType
    scripts.set(scriptId, url)
  })
  return within(withinMs, (tell) => {
    wire.on('Debugger.paused', (params) => {
      const { callFrames } = params as Debugger.PausedEventDataType
      wire.post('Debugger.resume')
      tell(callFrames.slice(0, mostFrames).map((frame) => describe(frame, scripts)))
    })
    wire.post('Debugger.enable')
    wire.post('Debugger.pause')
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
