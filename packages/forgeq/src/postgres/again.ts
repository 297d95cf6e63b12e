// How an operation says that its transaction has to start anew.

/** Rolls the transaction back to run it again from its start: with these queues locked when it locks the first, `true` for alone. */
export class Again extends Error {
  readonly queues: ReadonlyMap<number, boolean>

  constructor(queues: ReadonlyMap<number, boolean> = new Map()) {
    super('the transaction has to start anew')
    this.queues = queues
  }
}
