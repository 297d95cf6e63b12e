// The state machine of a job: the one table of transitions. Stores ask it, nothing else decides.

export const states = ['scheduled', 'blocked', 'ready', 'running', 'completed', 'dead', 'cancelled'] as const
export type State = (typeof states)[number]

/** How a holder ends its claim. */
export type Outcome = 'complete' | 'retry' | 'snooze' | 'release' | 'bury' | 'cancel' | 'crash'

/** What an operator may do to a job. */
export type Action = 'cancel' | 'retry' | 'delete' | 'promote'

type Verb = 'claim' | 'expire' | 'replace' | Outcome | Action

const pending = ['scheduled', 'blocked', 'ready'] as const
const ended = ['completed', 'dead', 'cancelled'] as const

interface Transition {
  readonly from: readonly State[]
  /** Where the job may be afterwards; `gone` = it no longer exists. */
  readonly to: readonly (State | 'gone')[]
}

/** Verb -> the states it starts from and the states it may lead to. */
export const transitions: Readonly<Record<Verb, Transition>> = {
  claim: { from: ['ready'], to: ['running'] },
  complete: { from: ['running'], to: ['completed', 'cancelled'] },
  // A retry without delay is ready at once, in the front lane.
  retry: { from: ['running', ...ended], to: ['ready', 'scheduled', 'cancelled'] },
  snooze: { from: ['running'], to: ['ready', 'scheduled', 'cancelled'] },
  release: { from: ['running'], to: ['ready', 'cancelled'] },
  bury: { from: ['running'], to: ['dead', 'cancelled'] },
  crash: { from: ['running'], to: ['ready', 'dead', 'cancelled'] },
  // Cancelling a running job only marks it; its next settle or rescue ends it cancelled.
  cancel: { from: [...pending, 'running'], to: ['cancelled', 'running'] },
  expire: { from: pending, to: ['cancelled'] },
  promote: { from: ['scheduled'], to: ['ready'] },
  // By an enqueue that found its unique key held.
  replace: { from: ['scheduled', 'ready'], to: ['ready', 'scheduled'] },
  delete: { from: [...pending, ...ended], to: ['gone'] },
}

export const isEnded = (state: State): boolean => (ended as readonly State[]).includes(state)

export const isPending = (state: State): boolean => (pending as readonly State[]).includes(state)

/** Whether an operator may do `action` to a job in `state`, or an enqueue replace what it is to do. */
export const allows = (state: State, action: Action | 'replace'): boolean =>
  action === 'retry' ? isEnded(state) : transitions[action].from.includes(state)
