// What the store answered to an action on one job: done, or the error that says why not.
import { ForgeError, unknownJob } from '../core/errors.ts'
import type { ActRequest, ActVerdict } from '../store/records.ts'

const needs: Readonly<Record<ActRequest['action'], string>> = {
  cancel: 'a job that has ended cannot be cancelled',
  retry: 'only a job that has ended can be retried',
  delete: 'cancel it and delete it when it has ended',
  promote: 'only a scheduled job can be promoted',
}

/** NOT_FOUND, STATE_CONFLICT or UNIQUE_CONFLICT when it was not done. */
export function takeVerdict(verdict: ActVerdict, action: ActRequest['action']): Extract<ActVerdict, { done: true }> {
  if (verdict.done) return verdict
  const { id } = verdict
  switch (verdict.code) {
    case 'NOT_FOUND':
      throw unknownJob(id)
    case 'STATE_CONFLICT':
      throw new ForgeError('STATE_CONFLICT', `job ${id} is ${verdict.state}: ${needs[action]}`, { id })
    case 'UNIQUE_CONFLICT': {
      const { holder } = verdict
      throw new ForgeError('UNIQUE_CONFLICT', `job ${holder} holds the unique key of ${id}: wait for it or cancel it`, {
        id,
        holder,
      })
    }
  }
}
