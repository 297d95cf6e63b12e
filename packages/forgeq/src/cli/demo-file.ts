// Where the built-in handlers are, for `dev` in a folder that has none.
import { fileURLToPath } from 'node:url'

export const demoFile: string = fileURLToPath(new URL('./demo.js', import.meta.url))
