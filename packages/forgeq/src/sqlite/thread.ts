// The DB thread: hosts the file, so that neither a commit nor a busy lock ever blocks the event loop of the caller.
import { parentPort, workerData } from 'node:worker_threads'
import type { Topic } from '../store/store.ts'
import type { Call } from './engine.ts'
import { Host, type HostOptions } from './host.ts'
import { sendError, type Answer, type Reply, type Request } from './wire.ts'

const port = parentPort!
const send = (reply: Reply): void => port.postMessage(reply)

// Answers of one turn travel in one message: they become ready together, right after the commit.
let answers: Answer[] = []
const answer = (one: Answer): void => {
  if (answers.length === 0) queueMicrotask(flush)
  answers.push(one)
}
const flush = (): void => {
  const ready = answers
  answers = []
  if (ready.length > 0) send({ kind: 'answers', answers: ready })
}

const callOf = (request: Extract<Request, { kind: 'call' }>): Call => ({
  method: request.method,
  args: request.args,
  mayWait: true,
  resolve: (value) => answer({ id: request.id, value }),
  reject: (error) => answer({ id: request.id, error: sendError(error) }),
})

/** Answers with what `make` gives or throws. */
const settle = (id: number, make: () => unknown): void => {
  try {
    answer({ id, value: make() })
  } catch (error) {
    answer({ id, error: sendError(error) })
  }
}

const serve = (host: Host): void => {
  port.on('message', (request: Request) => {
    switch (request.kind) {
      case 'call':
        host.submit(callOf(request))
        break
      case 'tell':
        settle(request.id, () => host.tell())
        break
      case 'listen':
        host.listen(request.topics)
        break
      case 'unlisten':
        host.unlisten(request.topics)
        break
      case 'keepAlive':
        host.keepAlive(request.worker, request.leaseMs)
        break
      case 'letGo':
        host.letGo(request.worker)
        break
      case 'migrate':
        settle(request.id, () => host.migrate(request.mode))
        break
      case 'drift':
        settle(request.id, () => host.drift())
        break
      case 'close':
        settle(request.id, () => host.close())
        end()
        break
    }
  })
}

/** Without the port nothing keeps the thread alive. */
const end = (): void => {
  flush()
  port.close()
}

const { options, checks } = workerData as { options: HostOptions; checks: 'schema' | 'none' }
try {
  const gone = (): void => {
    send({ kind: 'gone' })
    setImmediate(end)
  }
  const hint = (topics: readonly Topic[]): void => send({ kind: 'hints', topics })
  const host = new Host(options, checks, { hint, gone, send: flush })
  send({ kind: 'open' })
  serve(host)
} catch (error) {
  send({ kind: 'failed', error: sendError(error) })
  port.close()
}
