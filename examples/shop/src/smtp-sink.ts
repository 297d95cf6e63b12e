// A mail server for the example: takes mails over SMTP and writes each as a file one can open, data/mail/*.eml.
// It behaves as mail servers do: some addresses bounce, some greylist, some are slow, and once it is out for a moment.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { writeAtomically } from './write-atomically.ts'

const slowMs = 8_000
const outageMs = 1_500

export interface SmtpSink {
  readonly url: string
  /** What it answered so far. */
  readonly answers: Readonly<Record<'accepted' | 'bounced' | 'greylisted' | 'slow' | 'outage', number>>
  close(): Promise<void>
}

/** Listens on a free port of this machine; the outage begins with mail number `outageAfter`. */
export async function startSmtpSink(folder: string, outageAfter: number): Promise<SmtpSink> {
  const answers = { accepted: 0, bounced: 0, greylisted: 0, slow: 0, outage: 0 }
  const names = new Set(await readdir(folder))
  const met = new Set<string>()
  let outageEndsAt = 0

  async function receive(address: string): Promise<void> {
    const firstTime = !met.has(address)
    met.add(address)
    const domain = address.slice(address.lastIndexOf('@') + 1)
    if (domain === 'gone.example') {
      answers.bounced++
      throw refusal(550, '5.1.1 No such mailbox')
    }
    if (domain === 'greylist.example' && firstTime) {
      answers.greylisted++
      throw refusal(451, '4.7.1 Greylisted, come back later')
    }
    if (domain === 'slow.example' && firstTime) {
      answers.slow++
      await wait(slowMs, undefined, { ref: false })
    }
  }

  async function store(mail: Buffer): Promise<void> {
    const id = /^Message-ID: <([\w.-]+)@/im.exec(mail.toString('latin1'))?.[1] ?? 'mail'
    let name = `${id}.eml`
    // The same mail once more gets a file of its own, so that it shows.
    for (let copy = 2; names.has(name); copy++) name = `${id}-${copy}.eml`
    names.add(name)
    await writeAtomically(join(folder, name), mail)
    answers.accepted++
    if (answers.accepted === outageAfter) outageEndsAt = performance.now() + outageMs
  }

  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    onMailFrom(_address, _session, answer) {
      if (performance.now() >= outageEndsAt) return answer()
      answers.outage++
      answer(refusal(421, '4.3.2 Back in a moment'))
    },
    onRcptTo({ address }, _session, answer) {
      receive(address).then(() => answer(), answer)
    },
    onData(stream, _session, answer) {
      buffer(stream)
        .then(store)
        .then(() => answer(null, '2.0.0 Stored'), answer)
    },
  })
  server.on('error', (error) => console.error(`mail server: ${error.message}`))
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    url: `smtp://127.0.0.1:${port}`,
    answers,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

const refusal = (responseCode: number, message: string) => Object.assign(new Error(message), { responseCode })
