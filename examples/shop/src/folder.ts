// Where the shop keeps its files. FORGEQ_SHOP_DATA moves the whole folder.
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const besideTheCode = fileURLToPath(new URL('../data', import.meta.url))

type Entry = 'incoming' | 'photos' | 'invoices' | 'mail' | 'receipts' | 'reports' | 'thumbnails' | 'forgeq.db'

/** The data folder, or one of its folders, or a file in that. */
export function inData(entry?: Entry, file?: string): string {
  return join(resolve(process.env['FORGEQ_SHOP_DATA'] ?? besideTheCode), entry ?? '', file ?? '')
}

/** The export of orders that is there when the shop opens. */
export const ordersFile = 'orders.csv'
