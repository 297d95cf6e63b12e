// What is set side by side with a plain queue: the limits of the queue, and what each job carries. No limit here ever closes
// anything: what is measured is what it costs to keep watch.
const often = { max: 100_000, per: '1s' }
const thousand = (n) => ({ key: `key-${n % 1_000}` })
const one = () => ({ key: 'key' })
const unique = (rule) => (n) => ({ unique: { key: `unique-${n}`, ...rule } })

export const features = [
  { id: 'nothing', title: 'nothing: plain beside plain' },
  { id: 'keys', title: 'a key, one of 1,000', options: thousand },
  { id: 'one-key', title: 'a key, the same for all', options: one },
  {
    id: 'key-concurrency',
    title: 'concurrency of 1,000 keys',
    options: thousand,
    limits: { perKey: { concurrency: 1_000 } },
  },
  { id: 'key-rate', title: 'rate of 1,000 keys', options: thousand, limits: { perKey: { rate: often } } },
  { id: 'ordered', title: 'order of 1,000 keys', options: thousand, limits: { perKey: { ordered: true } } },
  { id: 'rate', title: 'rate of the queue', limits: { rate: often } },
  { id: 'level-rate', title: 'rate of a priority', limits: { ratePerPriority: { normal: often } } },
  { id: 'concurrency', title: 'concurrency of the queue', limits: { concurrency: 10_000 } },
  { id: 'unique-done', title: 'unique until done', options: unique({ until: 'done' }) },
  { id: 'unique-start', title: 'unique until the start', options: unique({ until: 'start' }) },
  { id: 'unique-window', title: 'unique for an hour', options: unique({ for: '1h' }) },
  { id: 'depth', title: 'depth of the queue', limits: { maxDepth: 1_000_000_000 } },
]
