// Writes the invoice of an order and asks for the mail that carries it.
import { confirmOrder, sendMail } from '../contracts.ts'
import { inData } from '../folder.ts'
import { euros } from '../euros.ts'
import type { Order } from '../orders.ts'
import { writeAtomically } from '../write-atomically.ts'

export const confirmOrderHandler = confirmOrder.handler(async (ctx) => {
  const order = ctx.input
  const invoice = `${order.number}.html`
  await writeAtomically(inData('invoices', invoice), renderInvoice(order))

  const ref = `order-${order.number}`
  const subject = `Your order ${order.number}: ${order.quantity} × ${order.product}`
  const text = `Dear ${order.customer},\n\nthank you for your order. The invoice is attached.\n\nThe shop\n`
  ctx.enqueue(sendMail, { ref, to: order.email, subject, text, invoice }, { unique: ref })
  return { invoice }
})

function renderInvoice(order: Order): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>Invoice ${order.number}</title>
<h1>Invoice ${order.number}</h1>
<p>${escapeHtml(order.customer)}, ${order.date}</p>
<table>
  <tr><td>${order.quantity} × ${escapeHtml(order.product)}</td><td>${euros(order.totalCents)}</td></tr>
</table>
`
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
