// Makes the export a shop gets from its till: the same rows for the same count, some of them broken as they are in life.
import { products } from './products.ts'

const firstNames = ['Anna', 'Jürgen', 'Zoë', 'Łukasz', 'Maria', 'Søren', 'Françoise', 'Peter', 'İpek', 'Tom']
const lastNames = ['Schmidt', 'Müller', 'Nowak', 'Weiß', 'García', 'Jensen', 'Dupont', 'Öztürk', 'Brown', 'Rossi']
const companies = ['Müller, Söhne & Co.', 'Café "Zur Post"', 'Smith, Brown, Partners']
const domains = ['mail.example', 'post.example', 'inbox.example']

export function makeOrders(count: number): string {
  const random = seededRandom(2026)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const lines = ['number,date,customer,email,product,quantity,total']
  for (let index = 0; index < count; index++) {
    const person = `${pick(firstNames)} ${pick(lastNames)}`
    const customer = random() < 0.05 ? pick(companies) : person
    const product = pick(products)
    const quantity = 1 + Math.floor(random() * random() * 5)
    const row = [
      // The till sent an order twice.
      `${10_001 + (every(400, 175, index) ? index - 100 : index)}`,
      `2026-10-${`${1 + Math.floor((index * 31) / count)}`.padStart(2, '0')}`,
      customer,
      every(300, 25, index) ? '' : `${mailbox(person)}@${domainOf(index) ?? pick(domains)}`,
      product.name,
      `${quantity}`,
      every(300, 125, index) ? `${quantity},5o` : ((product.cents * quantity) / 100).toFixed(2),
    ]
    // A line that was cut off.
    const kept = every(750, 90, index) ? row.slice(0, 3) : row
    lines.push(kept.map(quote).join(','))
  }
  return `${lines.join('\n')}\n`
}

/** Domains for which smtp-sink.ts plays the mail servers one meets. */
function domainOf(index: number): string | undefined {
  if (every(600, 40, index)) return 'gone.example'
  if (every(250, 15, index)) return 'greylist.example'
  if (every(1000, 60, index)) return 'slow.example'
  return undefined
}

const every = (rows: number, at: number, index: number) => index % rows === at

const quote = (field: string) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)

const mailbox = (person: string) =>
  person
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('ø', 'oe')
    .replaceAll('ł', 'l')
    .normalize('NFD')
    .replace(/[^a-z ]/g, '')
    .replace(' ', '.')

/** Numbers between 0 and 1 that only look random: mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
