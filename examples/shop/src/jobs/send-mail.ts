// Hands one mail to the mail server, and tells an address that is wrong from a server that is away.
import { Discard, RetryIn } from 'forgeq'
import type { NodemailerError } from 'nodemailer'
import { sendMail } from '../contracts.ts'
import { inData } from '../folder.ts'
import { mailer } from '../mailer.ts'
import { readReceipt, writeReceipt } from '../receipts.ts'

export const sendMailHandler = sendMail.handler(async ({ input, signal, log }) => {
  const { ref, to, subject, text, invoice } = input
  // A job may run twice: its process can die between the server's answer and the end of the job.
  const receipt = await readReceipt(ref)
  if (receipt?.outcome === 'accepted') return receipt

  try {
    const { response } = await mailer().sendMail({
      messageId: `<${ref}@shop.example>`,
      to,
      subject,
      text,
      attachments: [{ path: inData('invoices', invoice) }],
      signal,
    })
    return await writeReceipt(ref, { outcome: 'accepted', answer: response })
  } catch (cause) {
    const { message, command, permanent, responseCode, code } = cause as NodemailerError
    if (permanent && command === 'RCPT TO') {
      await writeReceipt(ref, { outcome: 'bounced', answer: message })
      throw new Discard(`${to} bounces: ${message}`, { cause })
    }
    // The server is away: no fault of this mail, so it keeps its attempts.
    if (responseCode === 421 || code === 'ESOCKET' || code === 'ECONNECTION') {
      log.info(`the mail server is away: ${message}`)
      throw new RetryIn('2s', { countAttempt: false, cause })
    }
    throw cause
  }
})
