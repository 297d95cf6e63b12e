// A module that keeps a process open: a listening socket and a timer, as pools of database drivers have.
import { createServer } from 'node:net'
import { defineJob, typed } from 'forgeq'

createServer().listen(0, '127.0.0.1')
setInterval(() => {}, 1000)

export const ping = defineJob('ping', { input: typed<unknown>() }, () => 'pong')
