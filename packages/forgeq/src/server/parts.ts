// What the routes of one API share.
import type { Context, Hono } from 'hono'
import type { RequestIdVariables } from 'hono/request-id'
import type { EndedJobs } from '../await-results.ts'
import type { ForgeQ } from '../forge.ts'
import type { Intake } from './intake.ts'

export interface Env {
  Variables: RequestIdVariables
}
export type App = Hono<Env>

export interface Parts {
  readonly forge: ForgeQ
  readonly intake: Intake
  readonly ended: EndedJobs
}

/** An answer of JSON text. */
export const json = (c: Context, text: string, status: 200 | 201 | 202 = 200): Response =>
  c.body(text, status, { 'Content-Type': 'application/json' })
