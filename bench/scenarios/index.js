// What is measured, in the order of the table. Each is loaded where it is run, and nothing else with it.
//
//   cases(size) -> tasks      `size(full, quick)` picks a number; `ready` and `finished` jobs are in the file beforehand;
//                             `whole` tasks are not cut down for slow subjects
//   measure(task) -> figures  in a fresh process, on a fresh copy of the file
//   defaults                  whether subjects as they come out of the box are of interest
//   needs                     a verb the subject must have; `only`: the subjects it is about
//   floors                    what ForgeQ must reach: at least for rates, at most for times and costs
export const scenarioIds = [
  'enqueue-one',
  'enqueue-concurrent',
  'enqueue-many',
  'work',
  'life',
  'idle-latency',
  'half-load',
  'backlog',
  'processes',
  'idle-cost',
  'start-up',
  'file-size',
  'syncs',
]

export const scenarioOf = async (id) => {
  const { scenario } = await import(`./${id}.js`)
  return scenario
}
