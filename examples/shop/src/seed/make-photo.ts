// Draws the photo of a product as a camera would deliver it: 1600 x 1200, with grain as JPEG, without as PNG.
import sharp from 'sharp'
import type { Product } from './products.ts'

const size = { width: 1600, height: 1200 }

export async function makePhoto(product: Product, format: 'jpg' | 'png'): Promise<Buffer> {
  const scene = sharp(Buffer.from(drawing(product)))
  if (format === 'png') return scene.png().toBuffer()
  grain ??= makeGrain()
  const { data, info } = await grain
  return scene
    .composite([{ input: data, raw: info, blend: 'soft-light' }])
    .jpeg({ quality: 88 })
    .toBuffer()
}

/** Noise is slow to make: all photos share one. */
let grain: ReturnType<typeof makeGrain> | undefined

const makeGrain = () => {
  const noise = { type: 'gaussian', mean: 128, sigma: 24 } as const
  return sharp({ create: { ...size, channels: 3, background: 'gray', noise } })
    .raw()
    .toBuffer({ resolveWithObject: true })
}

const drawing = ({ color, outline }: Product) => `
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300" width="${size.width}" height="${size.height}">
  <defs>
    <linearGradient id="wall" x2="0" y2="1"><stop stop-color="#f4f1ec"/><stop offset="1" stop-color="#cfc8bd"/></linearGradient>
    <radialGradient id="light"><stop stop-color="#fff"/><stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient>
  </defs>
  <rect width="400" height="300" fill="url(#wall)"/>
  <circle cx="120" cy="80" r="180" fill="url(#light)"/>
  <ellipse cx="205" cy="256" rx="120" ry="14" fill="#0002"/>
  <g fill="${color}">${outline}</g>
</svg>`
