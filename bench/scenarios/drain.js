// Opens a file full of ready jobs, works until `jobs` of them are completed, and says how fast. The clock runs from
// before the file is opened until the last completion is stored.
export const drain = async ({ subject, path, jobs, concurrency }) => {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const queue = await subject.open(path)
  let done = 0
  const worker = await new Promise((resolve) => {
    const started = queue.work({
      concurrency,
      handle: async () => {},
      completed: () => {
        done += 1
        if (done === jobs) resolve(started)
      },
    })
  })
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await worker.stop()
  await queue.close()
  return { rate: jobs / seconds, cpu: (user + system) / jobs }
}
