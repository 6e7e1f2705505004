// Two ways to call the API. The header X-CSRF says that a script of this site asks: no other site can send it along.
const output = document.getElementById('response')
const { api, path } = document.currentScript.dataset
// X-Session-Handle says for which session this page was made: another user may have signed in to this browser meanwhile.
const { session } = document.currentScript.dataset
const ownScript = { 'X-CSRF': '1', 'X-Session-Handle': session, Accept: 'application/json' }

/** The site forwards what comes below /api, with the access token attached. */
const throughTheSite = () => fetch(`/api${path}`, { headers: ownScript })

/** A token of our own, asked for again when it is nearly over. It is in this variable and nowhere else. */
let token

async function directly() {
  if (token === undefined) {
    const response = await fetch('/me/token', { headers: ownScript })
    if (!response.ok) return response
    token = await response.json()
    setTimeout(forget, Math.max(1, (token.expiresIn ?? 60) - 30) * 1000)
  }
  const response = await fetch(`${api}${path}`, { headers: { Authorization: `Bearer ${token.accessToken}` } })
  if (response.status === 401) forget()
  return response
}

function forget() {
  token = undefined
}

function connect(id, call) {
  const button = document.getElementById(id)
  button.addEventListener('click', async () => {
    button.disabled = true
    output.replaceChildren(paragraph('Calling…'))
    output.replaceChildren(...(await show(call)))
    button.disabled = false
    button.focus()
  })
}

async function show(call) {
  try {
    const response = await call()
    if (response.status === 401) return [signInAgain()]
    if (response.status === 409) return [paragraph('This page was made for an earlier sign-in. Please reload it.')]
    return [paragraph(`The API answered with status ${response.status}:`), table(await response.json())]
  } catch {
    return [paragraph('The site, or the API, cannot be reached.')]
  }
}

connect('call', throughTheSite)
connect('call-directly', directly)

// Text goes in as text, never as HTML: what an API sends is not to be trusted with this page.
function element(name, ...content) {
  const made = document.createElement(name)
  made.append(...content)
  return made
}

function paragraph(text) {
  return element('p', text)
}

function table(fields) {
  const rows = Object.entries(fields).map(([name, value]) => {
    const head = element('th', name)
    head.scope = 'row'
    return element('tr', head, element('td', typeof value === 'string' ? value : JSON.stringify(value)))
  })
  return element('table', element('tbody', ...rows))
}

function signInAgain() {
  const link = element('a', 'Sign in')
  link.href = `/login?returnTo=${encodeURIComponent(location.pathname)}`
  return element('p', 'You are not signed in any more. ', link, ' and come back here.')
}
