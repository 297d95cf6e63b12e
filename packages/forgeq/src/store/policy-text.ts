// A policy as the text that a store keeps with a job: only what differs from the defaults, NULL when nothing does.
import { defaultPolicy } from '../core/policy.ts'
import type { StoredPolicy } from './records.ts'

type Packed = Omit<StoredPolicy, 'queue' | 'priority'>

const fields = ['maxAttempts', 'timeoutMs', 'backoff', 'keepResultMs', 'delivery'] as const
const defaults: Packed = defaultPolicy
const defaultTexts = new Map(fields.map((field) => [field, JSON.stringify(defaults[field])]))

export const packPolicy = (policy: Packed): string | null => {
  const parts: string[] = []
  for (const field of fields) {
    const text = JSON.stringify(policy[field])
    if (text !== defaultTexts.get(field)) parts.push(`"${field}":${text}`)
  }
  return parts.length === 0 ? null : `{${parts.join(',')}}`
}

const unpacked = new Map<string, Packed>()
/** Enough for every policy in use; a store with more distinct ones only parses more often. */
const unpackedLimit = 1000

export const unpackPolicy = (text: string | null): Packed => {
  if (text === null) return defaults
  let policy = unpacked.get(text)
  if (policy === undefined) {
    policy = { ...defaults, ...(JSON.parse(text) as Partial<Packed>) }
    if (unpacked.size >= unpackedLimit) unpacked.clear()
    unpacked.set(text, policy)
  }
  return policy
}

/**
 * The policy a claim carries. The same object for the same policy: a reply with 200 of them crosses threads as one.
 */
export const claimedPolicy = (
  text: string | null,
  queue: string,
  priority: number,
  attemptBase: number,
): StoredPolicy => {
  const packed = unpackPolicy(text)
  let shared = claimed.get(packed)
  if (
    shared === undefined ||
    shared.queue !== queue ||
    shared.priority !== priority ||
    shared.maxAttempts !== attemptBase + packed.maxAttempts
  ) {
    shared = { ...packed, queue, priority, maxAttempts: attemptBase + packed.maxAttempts }
    claimed.set(packed, shared)
  }
  return shared
}

const claimed = new WeakMap<Packed, StoredPolicy>()
