// Puts into the data folder what a shop has before any job runs: an export of orders and product photos.
// Files that are there already are left alone.
import { access, mkdir } from 'node:fs/promises'
import { inData, ordersFile } from '../folder.ts'
import { writeAtomically } from '../write-atomically.ts'
import { makeOrders } from './make-orders.ts'
import { makePhoto } from './make-photo.ts'
import { type Product, products } from './products.ts'

export async function fillDataFolder(orders: number): Promise<void> {
  for (const folder of ['mail', 'thumbnails'] as const) await mkdir(inData(folder), { recursive: true })
  await unlessThere(inData('incoming', ordersFile), () => makeOrders(orders))

  for (const [index, product] of products.entries()) {
    const format = index % 3 === 2 ? 'png' : 'jpg'
    await unlessThere(inData('photos', `${fileNameOf(product)}.${format}`), () => makePhoto(product, format))
  }
  // An upload that broke off: the file begins well and ends in the middle.
  await unlessThere(inData('photos', 'upload-4711.jpg'), async () => {
    const whole = await makePhoto(products[0] as Product, 'jpg')
    return whole.subarray(0, whole.length / 2)
  })
}

/** Vase "Öland" -> vase-oland */
const fileNameOf = ({ name }: Product) => {
  const letters = name.toLowerCase().normalize('NFD').replace(/\p{M}/gu, '')
  return letters.match(/[a-z0-9]+/g)?.join('-') ?? 'photo'
}

async function unlessThere(path: string, make: () => string | Promise<Buffer>): Promise<void> {
  const there = await access(path).then(
    () => true,
    () => false,
  )
  if (!there) await writeAtomically(path, await make())
}
