// The store behind a URL: its driver is loaded when it is first asked for something.
import { ForgeError } from './core/errors.ts'
import type { Store } from './store/store.ts'

type Call = Exclude<keyof Store, 'listen'>

export function lazyStore(load: () => Promise<Store>): Store {
  let loading: Promise<Store> | undefined
  let isClosed = false
  const get = (): Promise<Store> => {
    // A store that was loaded says so itself.
    if (isClosed && loading === undefined) return Promise.reject(closed())
    return (loading ??= load())
  }

  const later =
    <K extends Call>(name: K) =>
    async (...args: Parameters<Store[K]>): Promise<Awaited<ReturnType<Store[K]>>> => {
      const store = await get()
      const call = store[name] as (...given: typeof args) => ReturnType<Store[K]>
      return await call.apply(store, args)
    }

  const listen: Store['listen'] = (topics, fn) => {
    let stop: (() => void) | undefined
    let isOver = false
    const start = (store: Store): void => {
      if (!isOver) stop = store.listen(topics, fn)
    }
    // When it does not load, every other call says so.
    get().then(start, () => {})
    return () => {
      isOver = true
      stop?.()
    }
  }

  const close = async (): Promise<void> => {
    isClosed = true
    // What was never loaded, or could not be, needs no closing: every other call has said why.
    const store = await loading?.catch(() => undefined)
    await store?.close()
  }

  return {
    open: later('open'),
    migrate: later('migrate'),
    drift: later('drift'),
    close,
    enqueue: later('enqueue'),
    register: later('register'),
    exchange: later('exchange'),
    beat: later('beat'),
    leave: later('leave'),
    lost: later('lost'),
    settle: later('settle'),
    promote: later('promote'),
    prune: later('prune'),
    setWorker: later('setWorker'),
    setQueue: later('setQueue'),
    queues: later('queues'),
    workers: later('workers'),
    types: later('types'),
    jobs: later('jobs'),
    find: later('find'),
    act: later('act'),
    dump: later('dump'),
    load: later('load'),
    listen,
  }
}

const closed = (): ForgeError => new ForgeError('STORE_CLOSED', 'the store is closed; make a new one')
