// Asks before the session ends. It is loaded as a module, so that it can import the script of the package.
import { watchSession } from '/public/session-watch.js'

const dialog = document.getElementById('session-ends')
const { handle } = document.body.dataset
let isAsked = false

const watch = watchSession({
  user: '/me',
  // Of a page for a user who is signed in. Without it, only the other tabs are told that the user has signed out.
  ...(handle && { handle }),
  warnBefore: 120,
  onWarning({ secondsLeft, canExtend }) {
    if (dialog === null) return
    dialog.querySelector('output').value = Math.max(1, Math.round(secondsLeft / 60))
    dialog.querySelector('.extend').hidden = !canExtend
    dialog.querySelector('.final').hidden = canExtend
    // Once: who closes the warning that nothing can be done has read it.
    if (!isAsked) dialog.showModal()
    isAsked = true
  },
  onExtended() {
    isAsked = false
    dialog?.close()
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
dialog?.addEventListener('close', () => watch.extend())
