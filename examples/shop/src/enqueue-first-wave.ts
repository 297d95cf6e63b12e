// The first work of the day: the orders, the report, the photos that have no thumbnails yet.
import { readdir } from 'node:fs/promises'
import { parse } from 'node:path'
import type { ForgeQ } from 'forgeq'
import { dailyReport, importOrders, thumbnail } from './contracts.ts'
import { inData, ordersFile } from './folder.ts'

export async function enqueueFirstWave(forge: ForgeQ): Promise<void> {
  await forge.enqueue(importOrders, { file: ordersFile }, { unique: `${ordersFile}:0` })
  await forge.enqueue(dailyReport, { file: ordersFile }, { unique: ordersFile })
  const photos = await photosToShrink(forge)
  await forge.enqueueMany(photos.map((photo) => thumbnail.with({ photo }, { unique: photo })))
}

/** Leaves out what is done and what waits among the dead letters for someone to look at. */
async function photosToShrink(forge: ForgeQ): Promise<string[]> {
  const photos = await readdir(inData('photos'))
  const thumbnails = new Set(await readdir(inData('thumbnails')))
  const { jobs: dead } = await forge.admin.jobs({ state: 'dead', type: thumbnail.name })
  const givenUp = new Set(dead.map(({ payload }) => (payload as { photo: string }).photo))
  return photos.filter((photo) => !givenUp.has(photo) && !thumbnails.has(`${parse(photo).name}-160.webp`))
}
