// A fresh process for one measurement.
import { tasks } from './tasks.js'

const { task, ...given } = JSON.parse(process.argv[2])
const answer = await tasks[task](given)
// A worker may be at work still; the answer must be out before the end.
process.send(answer, () => process.exit())
