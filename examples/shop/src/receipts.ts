// What mail servers have answered for good, one small file per mail: the shop's own record of what was sent.
// The queue knows what is still to be done; what was done for whom is for the application to remember.
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { inData } from './folder.ts'
import { writeAtomically } from './write-atomically.ts'

export interface Receipt {
  readonly outcome: 'accepted' | 'bounced'
  readonly answer: string
}

const ending = '.json'
const fileOf = (ref: string) => inData('receipts', `${ref}${ending}`)

export async function readReceipt(ref: string): Promise<Receipt | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(ref), 'utf8')) as Receipt
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function writeReceipt(ref: string, receipt: Receipt): Promise<Receipt> {
  await writeAtomically(fileOf(ref), JSON.stringify(receipt))
  return receipt
}

/** The refs of all mails that have a receipt. */
export async function receiptRefs(): Promise<Set<string>> {
  await mkdir(inData('receipts'), { recursive: true })
  const files = await readdir(inData('receipts'))
  return new Set(files.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length)))
}
