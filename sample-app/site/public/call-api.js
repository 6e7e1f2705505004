// Asks a route of this very site. The browser adds the session cookie by itself, and the site adds the access token.
const button = document.getElementById('call')
const answer = document.getElementById('answer')

button.addEventListener('click', async () => {
  button.disabled = true
  answer.replaceChildren(paragraph('Calling…'))
  try {
    const response = await fetch('/call-api/script/answer', { headers: { Accept: 'application/json' } })
    if (response.status === 401) answer.replaceChildren(signInAgain())
    else
      answer.replaceChildren(
        paragraph(`The API answered with status ${response.status}:`),
        table(await response.json()),
      )
  } catch {
    answer.replaceChildren(paragraph('The site cannot be reached.'))
  }
  button.disabled = false
  button.focus()
})

// Text goes in as text, never as HTML: what an API answers is not to be trusted with this page.
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
