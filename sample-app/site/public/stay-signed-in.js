// For pages of a user who is signed in: asks before the session ends, and says so where it was ended elsewhere. It is loaded as a module, so that it
// can import the script of the package.
import { watchSession } from '/public/session-watch.js'

const dialog = document.getElementById('session-ends')
const { handle } = document.body.dataset
let isAsked = false

const watch = watchSession({
  user: '/me',
  handle,
  warnBefore: 120,
  onWarning({ secondsLeft, canExtend }) {
    dialog.querySelector('output').value = Math.max(1, Math.round(secondsLeft / 60))
    dialog.querySelector('.extend').hidden = !canExtend
    dialog.querySelector('.final').hidden = canExtend
    // Once: who closes the warning that nothing can be done has read it.
    if (!isAsked) dialog.showModal()
    isAsked = true
  },
  onExtended() {
    isAsked = false
    dialog.close()
  },
  // What the user is writing stays: it can be saved after the next sign-in. Every other page is loaded again.
  onEnd() {
    const isWriting = [...document.querySelectorAll('textarea')].some(
      ({ value, defaultValue }) => value !== defaultValue,
    )
    if (isWriting) dialog?.close()
    else location.reload()
  },
})

// The button, and Escape as well: the user stays signed in.
dialog.addEventListener('close', () => watch.extend())

const reasons = {
  revoked: 'This session was ended in “My sessions” of another browser, or by the site.',
  'back-channel': 'You have signed out at the identity server.',
  'front-channel': 'You have signed out at the identity server.',
  expired: 'The time of your session is over.',
}
let events

/** Only the window that is seen listens: a browser opens few connections to one site. */
function listen() {
  events?.close()
  if (document.hidden) return
  events = new EventSource('/sessions/events')
  events.addEventListener('signed-out', ({ data }) => {
    events.close()
    // In another window of this browser: this one follows it.
    if (data === 'logout' || data === 'replaced') return location.reload()
    watch.stop()
    dialog.close()
    const signedOut = document.getElementById('signed-out')
    signedOut.querySelector('#signed-out-text').textContent = reasons[data] ?? 'Your session has ended.'
    signedOut.querySelector('a').search = new URLSearchParams({ returnTo: location.pathname })
    signedOut.showModal()
  })
}

listen()
document.addEventListener('visibilitychange', listen)
addEventListener('pagehide', () => events?.close())
// What this window itself asks for, such as the sign-out, is no news.
addEventListener('submit', ({ target }) => target.method === 'post' && events?.close())
