import type { Backend } from './backend.js'

/** A backend that is loaded when it is first asked for something. Few sites need what it takes: the others do not load it. */
export function createLateBackend(load: () => Promise<Backend>): Backend {
  let loading: Promise<Backend> | undefined
  const backend = () => {
    loading ??= load()
    return loading
  }

  const watchRemovals: Backend['watchRemovals'] = listener => {
    let isStopped = false
    let stop: (() => void) | undefined
    void backend().then(loaded => {
      if (!isStopped) stop = loaded.watchRemovals(listener)
    })
    return () => {
      isStopped = true
      stop?.()
    }
  }

  /** Every other member is a function that returns a promise. */
  const ask =
    (name: Exclude<keyof Backend, 'watchRemovals'>) =>
    async (...args: unknown[]) =>
      ((await backend())[name] as (...args: unknown[]) => Promise<unknown>)(...args)
  return new Proxy({ watchRemovals } as Backend, {
    get: (target, name) => Reflect.get(target, name) ?? ask(name as Exclude<keyof Backend, 'watchRemovals'>),
  })
}
