/*
 * Runs in the browser, as a file of its own: it imports nothing, touches no element, and needs nothing of a Content Security Policy but
 * `script-src 'self'` and `connect-src 'self'`.
 */

/** What is known of a session that is about to end. */
export interface SessionWarning {
  /** Seconds until it ends. */
  readonly secondsLeft: number
  /** Whether {@link SessionWatch.extend} helps. Without it the user has to sign in again: the session has come to its absolute end. */
  readonly canExtend: boolean
}

/** How to watch a session. */
export interface SessionWatchOptions {
  /** Path of the option `routes.user`. */
  readonly user: string
  /** Seconds before the end at which {@link onWarning} is called. Default 60, at least 20 (WCAG 2.2, 2.2.1 Timing Adjustable). */
  readonly warnBefore?: number
  /** Names the session that the page was made for (`req.oidc.handle`). Default: the one that is found first. */
  readonly handle?: string | undefined
  /** The session ends soon: tell the user, and offer to extend it. Called again every ten seconds. */
  readonly onWarning?: (warning: SessionWarning) => void
  /** There is time again, because this or another tab has extended the session. */
  readonly onExtended?: () => void
  /** The session of this page has ended, or it is another one now. Default: the page is loaded again. */
  readonly onEnd?: () => void
}

/** A session that is being watched. */
export interface SessionWatch {
  /** Extends the session; for the button of the warning. */
  extend(): Promise<void>
  /** Ends watching. A page from the back/forward cache is still loaded again. */
  stop(): void
}

interface Browser {
  addEventListener(type: string, listener: (event: { readonly persisted?: boolean }) => unknown): void
  readonly document: { readonly hidden: boolean }
  readonly location: { reload(): void }
}

/** What `routes.user` responds. */
interface Body {
  readonly handle: string
  readonly session: { readonly endsIn: number; readonly expiresIn: number }
}

/**
 * Watches the session of this page: warns before it ends, follows what other tabs do, and loads the page again when the browser takes it from
 * its back/forward cache. Looking does not extend the session.
 */
export function watchSession(options: SessionWatchOptions): SessionWatch {
  const { user, warnBefore = 60, onWarning, onExtended, onEnd } = options
  const browser = globalThis as unknown as Browser
  const channel = new BroadcastChannel(user)
  const margin = Math.max(20, warnBefore)
  let { handle } = options
  let timer: ReturnType<typeof setTimeout> | undefined
  let isWarning = false
  let isOver = false

  const look = () => ask('?slide=0')

  async function ask(query: string): Promise<void> {
    if (isOver) return
    const response = await fetch(user + query, { headers: { 'X-CSRF': '1' } }).catch(() => {})
    const body = (response?.ok ? await response.json().catch(() => {}) : undefined) as Body | undefined
    if (isOver) return
    if (body) handle ??= body.handle
    if (response?.status === 401 || (body && body.handle !== handle)) return end()
    const wasWarning = isWarning
    // Without a response the network may be away: what was known stays.
    const { endsIn = isWarning ? 9 : margin + 10, expiresIn = 0 } = body?.session ?? {}
    isWarning = endsIn <= margin
    clearTimeout(timer)
    timer = setTimeout(look, (isWarning ? Math.min(endsIn + 1, 10) : Math.min(endsIn - margin, 1e6)) * 1e3)
    if (body && isWarning) onWarning?.({ secondsLeft: endsIn, canExtend: expiresIn > endsIn })
    if (wasWarning && !isWarning) onExtended?.()
  }

  /** A page that no user was signed in to has nothing to lose, but it tells the other tabs. */
  function end(): void {
    channel.postMessage(0)
    stop()
    if (handle) onEnd ? onEnd() : browser.location.reload()
  }

  function stop(): void {
    isOver = true
    clearTimeout(timer)
    channel.close()
  }

  channel.onmessage = look
  browser.addEventListener('visibilitychange', () => browser.document.hidden || look())
  browser.addEventListener('pageshow', ({ persisted }) => persisted && browser.location.reload())
  void look()
  return {
    async extend() {
      await ask('')
      if (!isOver) channel.postMessage(0)
    },
    stop,
  }
}
