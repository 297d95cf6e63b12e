// A module that lets its process work for a moment, and then ends it.
import { defineJob, typed } from 'forgeq'

setTimeout(() => process.exit(3), 500)

export const idle = defineJob('idle', { input: typed<unknown>() }, () => {})
