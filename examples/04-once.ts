// Enqueueing that may be repeated: unique keys, ids of your own. And jobs that wait, or come too late.
import { defineJob, ForgeError, ForgeQ } from 'forgeq'
import { z } from 'zod'

const invoice = defineJob('invoice', { input: z.object({ order: z.number().int() }) }, ({ input }) => input.order)

const forge = new ForgeQ({ store: 'sqlite::memory:' })

// The key is held until the job has ended: a second click enqueues nothing.
const first = await forge.enqueue(invoice, { order: 42 }, { unique: 'order:42' })
const second = await forge.enqueue(invoice, { order: 42 }, { unique: 'order:42' })
console.log(second.id === first.id, second.duplicate) // true true

// Of many changes in a row only the last one is worth a run: each takes the place of the one that still waits.
const onlyLast = { delay: '1h', unique: { key: 'order:7', until: 'start', onConflict: 'replace' } } as const
const draft = await forge.enqueue(invoice, { order: 7 }, onlyLast)
const final = await forge.enqueue(invoice, { order: 77 }, onlyLast)
console.log(final.id === draft.id, final.replaced, (await forge.admin.job(draft.id))?.payload) // true true { order: 77 }

// An id is for good: the same again is the same job, even when that has ended.
const again = await forge.enqueue(invoice, { order: 42 }, { id: first.id })
console.log(again.duplicate) // true
try {
  await forge.enqueue(invoice, { order: 43 }, { id: first.id })
} catch (error) {
  console.log(ForgeError.is(error, 'ID_CONFLICT')) // true
}

// Not before an hour from now, unless somebody says so.
const later = await forge.enqueue(invoice, { order: 44 }, { delay: '1h' })
console.log((await forge.admin.why(later.id))?.reason) // not-due
await forge.admin.promote([later.id])

// Of no use when it has not started within 10 ms.
const late = await forge.enqueue(invoice, { order: 45 }, { delay: '50ms', expire: '10ms' })

const working = forge.worker({ handlers: [invoice] }).run()
console.log(await later.result()) // 44
try {
  await late.result()
} catch (error) {
  console.log(ForgeError.is(error, 'CANCELLED')) // true
}

await forge.close()
await working
