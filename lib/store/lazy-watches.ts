import type { SessionWatches, SessionWatchSettings } from './session-watches.js'

/** {@link SessionWatches} of a site that may never watch a session: what it takes is loaded at the first one. */
export function createLazyWatches(settings: SessionWatchSettings): SessionWatches {
  let loading: Promise<SessionWatches> | undefined
  let isClosed = false
  return {
    watch(id, onEnd) {
      let isStopped = false
      let stop: (() => void) | undefined
      loading ??= import('./session-watches.js').then(({ createSessionWatches }) => createSessionWatches(settings))
      void loading.then(watches => {
        if (!isStopped && !isClosed) stop = watches.watch(id, onEnd)
      })
      return () => {
        isStopped = true
        stop?.()
      }
    },
    close() {
      isClosed = true
      void loading?.then(watches => watches.close())
    },
  }
}
