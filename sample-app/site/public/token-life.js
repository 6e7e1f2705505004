// Counts down what is left of the access token. The server said when it expires; the clocks of both may differ a little.
const life = document.getElementById('life')
const expiresAt = Number(life.dataset.expiresAt)

function show() {
  const left = Math.max(0, Math.round(expiresAt - Date.now() / 1000))
  const minutes = Math.floor(left / 60)
  const seconds = String(left % 60).padStart(2, '0')
  life.textContent = left === 0 ? 'no more: the next call gets a new one' : `${minutes}:${seconds} minutes`
}

show()
setInterval(show, 1000)
