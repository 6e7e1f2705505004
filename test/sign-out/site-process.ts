import { startSite } from '../support/site.js'

/** One of several processes of a site: started by a test, told what to be, and ended by a signal. */
process.once('message', async (oidc: object) => {
  const signedOut: unknown[] = []
  const site = await startSite({ oidc: { ...oidc, hooks: { signOut: event => void signedOut.push(event) } } })
  process.on('message', () => process.send?.({ signedOut: signedOut.length, log: site.log }))
  process.send?.({ port: Number(new URL(site.url).port) })
})
