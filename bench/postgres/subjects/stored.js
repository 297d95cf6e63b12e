// Peers do not say when a completion is stored, so the answers of the server are read: `count` gets each answer to a
// statement whose text matches, and gives the number of jobs that it completed.
import { readFileSync } from 'node:fs'
import pg from 'pg'

export const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version

export const versionLine = async () => `pg ${versionOf('pg')}`

export const onStored = (pattern, count, completed) => {
  const query = Reflect.get(pg.Client.prototype, 'query')
  const hear = (result) => {
    for (let left = count(result); left > 0; left -= 1) completed()
  }
  pg.Client.prototype.query = function (text, values, callback) {
    if (!pattern.test(typeof text === 'string' ? text : (text?.text ?? '')))
      return query.call(this, text, values, callback)
    const answered = typeof values === 'function' ? values : callback
    if (answered === undefined) {
      const answer = query.call(this, text, values)
      answer.then(hear, () => {})
      return answer
    }
    const heard = (error, result) => {
      if (!error) hear(result)
      answered(error, result)
    }
    return typeof values === 'function' ? query.call(this, text, heard) : query.call(this, text, values, heard)
  }
}
