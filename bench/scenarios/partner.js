// A second process of a scenario: started, heard, stopped. `now` is the same clock in both.
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** Milliseconds of the machine's monotonic clock, comparable between processes. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

/** Starts `roles/<role>.js` and resolves when it says that it is up; `hear` gets what it says afterwards. */
export const partner = async (role, task, hear) => {
  const child = fork(new URL(`../roles/${role}.js`, import.meta.url), [JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const gone = once(child, 'exit')
  const early = gone.then(([code]) => {
    throw new Error(`${role} ended with code ${code} before it was up`)
  })
  await Promise.race([once(child, 'message'), early])
  early.catch(() => {})
  child.on('message', hear)
  return {
    async stop() {
      if (child.connected) child.send('stop')
      await gone
    },
  }
}
