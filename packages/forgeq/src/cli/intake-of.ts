// The door for jobs whose definition this process does not have.
import type { ForgeQ } from '../forge.ts'
import { Intake } from '../server/intake.ts'
import { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'

export async function intakeOf(forge: ForgeQ): Promise<Intake> {
  const time = new StoreTime(realTimers)
  time.hear((await forge.ready()).now)
  return new Intake(forge, time, [])
}
