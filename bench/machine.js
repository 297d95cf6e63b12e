// Where the figures come from: processor, memory, disk, Node, load. Timed here: a sync of the disk and a start of Node.
import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { percentile } from './scenarios/percentile.js'

export const hasStrace = spawnSync('strace', ['--version'], { stdio: 'ignore' }).status === 0

export const lookAtMachine = async (folder) => {
  const facts = {
    cpu: cpus()[0].model.trim(),
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    fdatasyncMs: fdatasyncMs(join(folder, 'probe')),
    nodeStartMs: nodeStartMs(),
    loadBefore: loadavg()[0],
    at: new Date().toISOString(),
  }
  const line =
    `${facts.cpu}, ${facts.cores} cores, ${facts.memoryGb} GB, Linux ${facts.kernel}, Node ${facts.node}; ` +
    `fdatasync ${facts.fdatasyncMs.toFixed(2)} ms, start of Node ${facts.nodeStartMs.toFixed(0)} ms (medians); ` +
    `load before ${facts.loadBefore.toFixed(1)}; ${facts.at.slice(0, 10)}`
  return { ...facts, line }
}

const median = (values) => percentile(values, 50)

const timed = (fn) => {
  const startedAt = performance.now()
  fn()
  return performance.now() - startedAt
}

const fdatasyncMs = (path) => {
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096)
  const took = Array.from({ length: 200 }, () => {
    writeSync(file, block)
    return timed(() => fdatasyncSync(file))
  })
  closeSync(file)
  return median(took)
}

const nodeStartMs = () => median(Array.from({ length: 9 }, () => timed(() => spawnSync(process.execPath, ['-e', '0']))))
