// Loaded before a command of a page: pages show what somebody at a terminal sees, and a pipe is none.
for (const stream of [process.stdout, process.stderr]) {
  stream.isTTY = true
  stream.columns = 120
}
