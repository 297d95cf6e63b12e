// The way out to the mail server that SHOP_SMTP_URL names: connections that each process keeps open for many mails.
import { createTransport } from 'nodemailer'

const connect = (url: string) =>
  createTransport({ pool: true, url, maxConnections: 20, maxRequeues: 0 }, { from: 'The shop <orders@shop.example>' })
let transport: ReturnType<typeof connect> | undefined

export function mailer(): ReturnType<typeof connect> {
  const url = process.env['SHOP_SMTP_URL']
  if (!url) throw new Error('SHOP_SMTP_URL is not set: run `npm start`, or set it to the SMTP server to send through')
  transport ??= connect(url)
  return transport
}
