// A disk that is full, made of memory where this machine lets us: what cannot be stored is refused, nothing is half done, and
// the next call works once there is room.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import { newJob } from './jobs.ts'
import { Server } from './server.ts'

/** A disk of so many megabytes; `undefined` where mounting is not allowed. */
const smallDisk = (megabytes: number): string | undefined => {
  const folder = mkdtempSync(join(tmpdir(), 'forgeq-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' })
    return folder
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
}

const settings = ['fsync=off', 'min_wal_size=32MB', 'max_wal_size=32MB']
const random = (bytes: number): string => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('base64')
const big = () => ({
  ...newJob(),
  payload: JSON.stringify(Array.from({ length: 12 }, () => random(49_152)).join('')),
})

const skip = process.getuid?.() !== 0 && 'only root may mount a small disk'

for (const full of ['tables', 'log'] as const) {
  test(`the disk of the ${full} is full`, { skip }, async (t) => {
    const disk = smallDisk(full === 'log' ? 112 : 64)
    if (disk === undefined) return t.skip('this machine does not let us mount a small disk')
    const logs = mkdtempSync(join(tmpdir(), 'forgeq-logs-'))
    chmodSync(logs, 0o755)
    const server = full === 'log' ? await Server.make(disk) : await Server.make(disk, logs)
    process.on('exit', () => server.kill())
    t.after(async () => {
      await server.remove()
      execFileSync('umount', [disk])
      rmSync(disk, { recursive: true })
      rmSync(logs, { recursive: true })
    })
    await server.start(settings)
    const store = postgres(server.url, { allowUnsafe: true })
    await store.open()
    const stored: string[] = []
    let refused: { readonly error: ForgeError; readonly id: string } | undefined
    for (let i = 0; i < 300 && refused === undefined; i++) {
      const job = big()
      await store.enqueue([job], { atomic: true }).then(
        () => stored.push(job.id),
        (error: unknown) => {
          assert.ok(ForgeError.is(error), String(error))
          refused = { error, id: job.id }
        },
      )
    }
    assert.ok(refused !== undefined, 'the disk got full')
    const { error, id } = refused
    t.diagnostic(`after ${stored.length} jobs of 0.8 MB: ${error.code}: ${error.message}`)
    assert.ok(['STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(error.code))
    if (full === 'tables') {
      assert.match(error.message, /disk is full/)
      await store.queues()
    }
    execFileSync('mount', ['-o', 'remount,size=192m', disk])
    if (full === 'log') {
      // A server without room for its log stops at once, recovers, and may stop again: backends of before and of in between
      // answer for a moment. Once there is room somebody starts it.
      await server.stop()
      await server.start(settings)
    }
    const known = new Set((await store.jobs([...stored, id])).map((job) => job.id))
    assert.deepEqual(
      stored.filter((one) => !known.has(one)),
      [],
      'what was accepted is there',
    )
    if (error.code === 'STORE_UNAVAILABLE') assert.ok(!known.has(id), 'what was refused is not')
    const { counts } = (await store.queues())[0]!
    assert.equal(counts.ready, known.size)
    assert.equal((await store.enqueue([big()], { atomic: true })).length, 1)
    await store.close()
  })
}
