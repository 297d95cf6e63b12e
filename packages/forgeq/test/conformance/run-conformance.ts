// Runs every conformance case on a store of its own, as a test named after the area and the sentence.
import { test } from 'node:test'
import { type CaseTools, conformance } from '#src/conformance/index.js'
import type { Capability } from '#src/store/store.js'

export interface OpenStore extends CaseTools {
  close(): Promise<void>
}

/** `every`: 3 runs a third of the cases, of all areas. `leaveOut`: names of cases. */
export function runConformance(
  label: string,
  open: () => Promise<OpenStore>,
  has: readonly Capability[],
  every = 1,
  leaveOut: readonly string[] = [],
): void {
  for (const { area, name, needs = [], run } of conformance.filter(
    ({ name }, i) => i % every === 0 && !leaveOut.includes(name),
  )) {
    const missing = needs.filter((need) => !has.includes(need))
    test(`${label}: ${area}: ${name}`, { skip: missing.length > 0 && `needs ${missing.join(', ')}` }, async () => {
      const tools = await open()
      try {
        await run(tools)
      } finally {
        await tools.close()
      }
    })
  }
}
