// A job that enqueues others in its own name: they are stored with its completion, or not at all. Results of many.
import { defineJob, ForgeQ } from 'forgeq'
import { z } from 'zod'

const countWords = defineJob('count-words', { input: z.object({ page: z.string() }) }, ({ input }) => {
  return input.page.split(' ').length
})

const readBook = defineJob(
  'read-book',
  { input: z.object({ pages: z.array(z.string()) }) },
  ({ input, enqueue, log, progress }) => {
    const ids = input.pages.map((page, i) => {
      progress(i + 1, input.pages.length, 'pages')
      return enqueue(countWords, { page }, { priority: 'low' })
    })
    log.info('split into %d pages', ids.length)
    return ids
  },
)

const forge = new ForgeQ({ store: 'sqlite::memory:' })
const working = forge.worker({ handlers: [countWords, readBook], concurrency: 4 }).run()

const book = await forge.enqueue(readBook, {
  pages: ['call me Ishmael', 'some years ago', 'never mind how long precisely'],
})
const ids = await book.result()
const words = await Promise.all(ids.map((id) => forge.handle(countWords, id).result()))
console.log(words) // [ 3, 3, 5 ]

const { progress, logs } = (await forge.admin.job(book.id, ['logs'])) ?? {}
console.log(progress) // { done: 3, total: 3, label: 'pages' }
console.log(logs?.[0]?.message) // split into 3 pages

await forge.close()
await working
