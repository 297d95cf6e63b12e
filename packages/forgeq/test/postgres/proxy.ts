// A way to a server that loses an answer when it is told to.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: string | undefined

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

  /** The next command of this name arrives and is done; its answer, and what is answered on the way, is lost with the connection. */
  loseAnswerTo(command: string): void {
    this.#losing = command
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #carry(client: Socket, server: Socket): void {
    let lost: string | undefined
    client.on('data', (data) => {
      if (this.#losing !== undefined && data.includes(this.#losing)) [lost, this.#losing] = [this.#losing, undefined]
      server.write(data)
    })
    server.on('data', (data) => {
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
