// Makes the small pictures that the shop's pages show from a product photo.
import { parse } from 'node:path'
import sharp from 'sharp'
import { thumbnail } from '../contracts.ts'
import { inData } from '../folder.ts'
import { writeAtomically } from '../write-atomically.ts'

const widths = [960, 480, 160]

// Or a photo that was replaced before a retry would still be the old one.
sharp.cache(false)

export const thumbnailHandler = thumbnail.handler(async ({ input, signal }) => {
  const { base, name } = parse(input.photo)
  const files: string[] = []
  for (const width of widths) {
    signal.throwIfAborted()
    const file = `${name}-${width}.webp`
    const image = sharp(inData('photos', base)).autoOrient().resize(width).webp({ quality: 80 })
    await writeAtomically(inData('thumbnails', file), await image.toBuffer())
    files.push(file)
  }
  return { files }
})
