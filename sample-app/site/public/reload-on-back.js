// Back shows a page from the back/forward cache as it was left, with no request. Who is signed in may have changed: ask anew.
addEventListener('pageshow', event => {
  if (event.persisted) location.reload()
})
