// `curl` for pages: the flags that they use, carried out with fetch, because not every machine has curl.
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    request: { type: 'string', short: 'X' },
    json: { type: 'string' },
    include: { type: 'boolean', short: 'i' },
    silent: { type: 'boolean', short: 's' },
  },
})
const [url = ''] = positionals
const response = await fetch(url.startsWith('http') ? url : `http://${url}`, {
  method: values.request ?? (values.json === undefined ? 'GET' : 'POST'),
  ...(values.json !== undefined && { body: values.json, headers: { 'content-type': 'application/json' } }),
})
if (values.include) {
  console.log(`HTTP/1.1 ${response.status} ${response.statusText}`)
  for (const [name, value] of response.headers) console.log(`${name}: ${value}`)
  console.log()
}
console.log(await response.text())
