// A way to a server that loses an answer when it is told to.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: string[] = []

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

  /** Messages that hold these texts arrive one after the other, and the answer to the last one is lost with the connection. */
  loseAnswerTo(...texts: string[]): void {
    this.#losing = texts
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #carry(client: Socket, server: Socket): void {
    let isLost = false
    client.on('data', (data) => {
      const [text] = this.#losing
      if (text !== undefined && data.includes(text)) {
        this.#losing.shift()
        isLost = this.#losing.length === 0
      }
      server.write(data)
    })
    server.on('data', (data) => {
      if (!isLost) return client.write(data)
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
