// A way to a server that loses an answer when it is told to, or everything from then on.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Frontend } from './frontend.ts'

const fatal = (code: string, message: string): Buffer => {
  const words = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(words.length + 4, 1)
  return Buffer.concat([head, words])
}
const shutDown = fatal('57P01', 'terminating connection due to administrator command')
/** What a pooler says in the name of a server that it has given up. */
const givenUp = fatal('08P01', 'query_timeout')

/** What is dropped, so that whoever waits for it learns nothing: what goes to the server, what comes from it, or both. */
export type Direction = 'there' | 'back' | 'both'

/** Words of what is asked, and of what the server says when it is done. */
interface Lost {
  readonly asked: string
  readonly answer: string
}

/** Transactions, and statements that commit by themselves. */
const commits: readonly Lost[] = [
  { asked: 'COMMIT', answer: 'COMMIT' },
  { asked: '_put', answer: 'SELECT ' },
  { asked: '_hand_over', answer: 'SELECT ' },
]

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: readonly Lost[] = []
  #drops: Direction | undefined
  #muting: string | undefined
  #ending: Lost | undefined
  #givingUp: string | undefined
  /** How many connections were made. */
  connections = 0
  /** Kinds of messages that went to the server, in order. */
  readonly sent: string[] = []

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => this.#carry(client, connect(target.port, target.host)))
  }

  static async to(url: string): Promise<Proxy> {
    const { hostname, port } = new URL(url)
    const proxy = new Proxy({ host: hostname, port: Number(port) })
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** The same database by this way. */
  urlOf(url: string): string {
    const there = new URL(url)
    there.hostname = '127.0.0.1'
    there.port = String((this.#server.address() as AddressInfo).port)
    return there.href
  }

  /** What is asked next in these words arrives and is done; its answer, and what is answered on the way, is lost with the connection. */
  loseAnswerTo(asked: string, answer = asked): void {
    this.#losing = [{ asked, answer }]
  }

  /** The same for whatever commits next. */
  loseNextCommit(): void {
    this.#losing = commits
  }

  /** The next command of this name arrives and is done, and nobody is told; its connection stays open. */
  muteAfter(command: string): void {
    this.#muting = command
  }

  /** What is asked next in these words is done and answered, and then the server says that it ends the connection. */
  endAfter(asked: string, answer = asked): void {
    this.#ending = { asked, answer }
  }

  /** What is asked next in these words arrives, and before it is answered somebody in between says that the connection is over. */
  giveUpAt(asked: string): void {
    this.#givingUp = asked
  }

  /** From now on connections stay open, new ones too, and say nothing. */
  drop(direction: Direction): void {
    this.#drops = direction
  }

  /** New connections work again; what was dropped on the old ones is lost, so they are cut. */
  heal(): void {
    this.#drops = undefined
    for (const socket of this.#sockets) socket.destroy()
  }

  /** New connections work again; those that said nothing go on saying nothing. */
  replace(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('data').resume()
    this.#drops = undefined
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #carry(client: Socket, server: Socket): void {
    this.connections++
    let lost: string | undefined
    let end: string | undefined
    let isMute = false
    const frontend = new Frontend()
    client.on('data', (data) => {
      this.sent.push(...frontend.read(data))
      if (this.#muting !== undefined && data.includes(this.#muting)) [isMute, this.#muting] = [true, undefined]
      const losing = this.#losing.find(({ asked }) => data.includes(asked))
      if (losing !== undefined) [lost, this.#losing] = [losing.answer, []]
      if (this.#ending !== undefined && data.includes(this.#ending.asked)) {
        ;[end, this.#ending] = [this.#ending.answer, undefined]
      }
      if (this.#drops === undefined || this.#drops === 'back') server.write(data)
      if (this.#givingUp === undefined || !data.includes(this.#givingUp)) return
      this.#givingUp = undefined
      client.removeAllListeners('close').end(givenUp)
      isMute = true
    })
    server.on('data', (data) => {
      if (isMute || (this.#drops !== undefined && this.#drops !== 'there')) return undefined
      if (end !== undefined && data.includes(`${end}\0`)) {
        const answered = data.subarray(0, data.indexOf(`${end}\0`) + end.length + 1)
        server.destroy()
        return client.end(Buffer.concat([answered, shutDown]))
      }
      if (lost === undefined) return client.write(data)
      // The server names the command that it has done.
      if (!data.includes(lost)) return undefined
      client.destroy()
      return server.destroy()
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
  }
}
