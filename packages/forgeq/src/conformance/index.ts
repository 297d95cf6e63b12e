// The cases that every store must pass, as data: `for (const c of conformance) test(c.name, () => c.run(tools))`.
import { actCases } from './act.ts'
import { attemptsCases } from './attempts.ts'
import type { Case } from './case.ts'
import { claimCases } from './claim.ts'
import { concurrencyCases } from './concurrency.ts'
import { delayCases } from './delay.ts'
import { depthCases } from './depth.ts'
import { enqueueCases } from './enqueue.ts'
import { exchangeCases } from './exchange.ts'
import { expireCases } from './expire.ts'
import { fairnessCases } from './fairness.ts'
import { holdsCases } from './holds.ts'
import { keysCases } from './keys.ts'
import { leaseCases } from './lease.ts'
import { lifeCases } from './life.ts'
import { limitsCases } from './limits.ts'
import { listenCases } from './listen.ts'
import { moveCases } from './move.ts'
import { moveTracesCases } from './move-traces.ts'
import { notesCases } from './notes.ts'
import { orderCases } from './order.ts'
import { orderedCases } from './ordered.ts'
import { pauseCases } from './pause.ts'
import { payloadCases } from './payload.ts'
import { pruneCases } from './prune.ts'
import { queryCases } from './query.ts'
import { rateCases } from './rate.ts'
import { resizeCases } from './resize.ts'
import { settleCases } from './settle.ts'
import { suspectsCases } from './suspects.ts'
import { uniqueCases } from './unique.ts'
import { uniqueConflictCases } from './unique-conflict.ts'
import { uniqueHoldCases } from './unique-hold.ts'

export type { Case, CaseTools } from './case.ts'

export const conformance: readonly Case[] = [
  ...lifeCases,
  ...enqueueCases,
  ...payloadCases,
  ...orderCases,
  ...claimCases,
  ...suspectsCases,
  ...settleCases,
  ...exchangeCases,
  ...leaseCases,
  ...delayCases,
  ...expireCases,
  ...attemptsCases,
  ...uniqueCases,
  ...uniqueHoldCases,
  ...uniqueConflictCases,
  ...actCases,
  ...notesCases,
  ...queryCases,
  ...pruneCases,
  ...pauseCases,
  ...rateCases,
  ...concurrencyCases,
  ...keysCases,
  ...orderedCases,
  ...fairnessCases,
  ...holdsCases,
  ...depthCases,
  ...limitsCases,
  ...resizeCases,
  ...moveCases,
  ...moveTracesCases,
  ...listenCases,
]
