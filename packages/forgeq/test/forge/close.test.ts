import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeQ, typed } from 'forgeq'
import { lazyStore } from '#src/lazy-store.js'
import { sqlite } from 'forgeq/sqlite'

const plain = defineJob('plain', { input: typed<unknown>() })

test('a forge that was closed before its first use takes no job and loads no store', async () => {
  let loads = 0
  const store = lazyStore(async () => {
    loads += 1
    return sqlite(':memory:', { inline: true })
  })
  const forge = new ForgeQ({ store })
  await forge.close()
  await assert.rejects(forge.enqueue(plain, 1), { code: 'STORE_CLOSED' })
  await assert.rejects(forge.ready(), { code: 'STORE_CLOSED' })
  store.listen(['due'], () => {})()
  await forge.store.close()
  assert.equal(loads, 0)
})

test('close: a store that did not load has nothing to close', async () => {
  const forge = new ForgeQ({ store: 'nosuch:store' })
  await assert.rejects(forge.enqueue(plain, 1), { code: 'CONFIG' })
  await forge.close()
})
