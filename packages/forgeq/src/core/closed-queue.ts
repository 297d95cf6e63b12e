// What people are told of a queue that hands out nothing because somebody said so.

/** With the next step. One that was moved is not to be opened: its jobs would run in both stores. */
export const describePaused = (queue: string, isAccepting: boolean): string =>
  isAccepting
    ? `Queue ${queue} is paused. \`forgeq queues resume ${queue}\` starts it.`
    : `Queue ${queue} is paused and takes no new jobs, as \`forgeq move\` leaves what it has moved to another store, where the jobs ` +
      `run now. If that is not so, \`forgeq queues limit ${queue} --accepting\` and \`forgeq queues resume ${queue}\` open it.`
