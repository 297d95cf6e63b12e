// The HTTP API as outsiders get it: a server of its own, or a fetch handler for theirs.
export { api, type Api, type ApiOptions } from './api.ts'
export { serve, type ServeOptions, type Server } from './serve.ts'
