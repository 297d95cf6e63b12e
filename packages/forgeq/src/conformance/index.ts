// The cases that every store must pass, as data: `for (const c of conformance) test(c.name, () => c.run(tools))`.
import type { Case } from './case.ts'
import { claimCases } from './claim.ts'
import { enqueueCases } from './enqueue.ts'
import { orderCases } from './order.ts'
import { payloadCases } from './payload.ts'

export type { Case, CaseTools } from './case.ts'

export const conformance: readonly Case[] = [...enqueueCases, ...payloadCases, ...orderCases, ...claimCases]
