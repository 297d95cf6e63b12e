// What is only seen on a terminal: the banner, the countdown, progress.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { banner } from '#src/cli/banner.js'
import type { Config } from '#src/cli/config.js'
import { countdown } from '#src/cli/countdown.js'
import { paintFor } from '#src/cli/paint.js'
import { progressLine } from '#src/cli/progress-line.js'
import { settings } from '#src/cli/settings.js'
import type { StoreInfo } from '#src/store/store.js'

/** A stream that remembers. */
function written(isTTY: boolean): { isTTY: boolean; text: string; write: (text: string) => void } {
  const stream = { isTTY, text: '', hasColors: () => false, write: (text: string) => void (stream.text += text) }
  return stream
}

const job = (type: string): { id: string; type: string } => ({ id: `id-of-${type}`, type })

test('the banner says where, on what and with which handlers, and warns', () => {
  const values = Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, setting.default]))
  const config = { ...values, store: 'redis://:secret@host/0', processes: 4 } as unknown as Config
  const info: StoreInfo = {
    kind: 'redis',
    version: '7.0',
    now: 0,
    durability: 'may lose up to 2 s',
    capabilities: [],
    problems: ['eviction is on'],
  }
  const details = {
    handlers: [
      { type: 'send-mail', queue: 'mails', file: 'jobs/mail.js' },
      { type: 'resize', queue: 'default', file: 'jobs/pictures/resize.js' },
    ],
    notes: ['jobs/util.js exports no handler'],
    queues: { mails: 10, default: 5 },
    concurrency: 10,
  }
  assert.deepEqual(banner(config, info, details, paintFor({}, {})).slice(1), [
    '  store     redis://:***@host/0',
    '            redis 7.0, may lose up to 2 s',
    '  workers   4 processes, each 10 jobs at a time',
    '  queues    mails, default (5)',
    '  handlers  send-mail  jobs/mail.js',
    '            resize     jobs/pictures/resize.js',
    '  ! eviction is on',
    '  ! jobs/util.js exports no handler',
  ])
})

test('a terminal sees one line that counts down and is wiped out at the end', () => {
  const stream = written(true)
  const end = countdown(() => ['a', 'b', 'c', 'd'].map(job), 24_500, stream)
  assert.equal(
    stream.text,
    'stopping: waits for 4 jobs (a id-of-a, b id-of-b, c id-of-c, and 1 more) 25 s, Ctrl-C hands them back now\u001B[K\r',
  )
  stream.text = ''
  end()
  assert.equal(stream.text, '\u001B[K')
})

test('elsewhere there is a line when something changes', () => {
  const stream = written(false)
  const end = countdown(() => [job('a')], 25_000, stream)
  end()
  assert.equal(stream.text, 'stopping: waits for 1 job (a id-of-a), for at most 25 s\n')
})

test('short work shows no progress', () => {
  for (const isTTY of [true, false]) {
    const stream = written(isTTY)
    const progress = progressLine('enqueued', stream)
    progress.show(1000)
    progress.end()
    assert.equal(stream.text.replace('\u001B[K', ''), '')
  }
})
