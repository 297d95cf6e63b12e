// Records of processes that are gone are closed by whoever can tell.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { closeDead, pidSpace } from '#src/worker/pid-space.js'
import { openStore, someWorker, temporaryFile } from '../sqlite/files.ts'

test('only processes whose ids mean something here, and that nobody has, are closed', async (t) => {
  const store = openStore(t, temporaryFile(t))
  const { pid: gone } = spawnSync(process.execPath, ['--version'])
  const registered = async (facts: Parameters<typeof someWorker>[0]): Promise<string> => {
    const worker = someWorker(facts)
    await store.register(worker)
    return worker.id
  }
  const own = await registered({ pidSpace })
  const elsewhere = await registered({ pid: gone, pidSpace: 'another boot' })
  const unknown = await registered({ pid: gone, pidSpace: null })
  const dead = await registered({ pid: gone, pidSpace })
  await closeDead(store)
  const left = (await store.workers()).map(({ id }) => id)
  const expected = [own, elsewhere, unknown]
  assert.deepEqual(left, pidSpace === null ? [...expected, dead] : expected)
})
