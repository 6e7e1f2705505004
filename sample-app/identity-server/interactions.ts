import express, { type Request, type Response, Router } from 'express'
import type { IdentityProvider, ProviderInteraction } from 'oidc-provider'
import type { Accounts } from './accounts.js'
import type { Consents } from './consents.js'
import { describeScopes } from './scopes.js'

/**
 * The two pages between a request to sign in and its answer: sign-in and consent. oidc-provider binds each attempt to the
 * browser by a cookie, so another site can neither read nor send these forms.
 */
export function createInteractions(provider: IdentityProvider, consents: Consents, accounts: Accounts): Router {
  const router = Router()
  const readForm = express.urlencoded({ extended: false, limit: '4kb', parameterLimit: 10 })

  router.use('/interaction', (_req, res, next) => {
    res.set('Cache-Control', 'no-store')
    next()
  })

  router.get('/interaction/:uid', async (req, res) => {
    const interaction = await provider.interactionDetails(req, res)
    const isConsent = interaction.prompt.name === 'consent'
    await (isConsent ? showConsent(res, interaction) : showSignIn(res, interaction))
  })

  router.post('/interaction/:uid/sign-in', readForm, async (req, res) => {
    const interaction = await provider.interactionDetails(req, res)
    const { username, password } = formOf(req)
    const account = accounts.checkPassword(username, password)
    if (account === undefined) {
      res.status(401)
      await showSignIn(res, interaction, { username: String(username ?? ''), failed: true })
      return
    }
    const login = { accountId: account.sub, amr: ['pwd'] }
    await provider.interactionFinished(req, res, { login }, { mergeWithLastSubmission: false })
  })

  router.post('/interaction/:uid/consent', readForm, async (req, res) => {
    const { session, params, prompt } = await provider.interactionDetails(req, res)
    if (prompt.name !== 'consent' || session === undefined) throw new Error('no consent is being asked for')
    const grantId = await consents.allow(provider, session.accountId, params.client_id, params.scope)
    await provider.interactionFinished(req, res, { consent: { grantId } })
  })

  router.post('/interaction/:uid/cancel', async (req, res) => {
    const denied = { error: 'access_denied', error_description: 'cancelled by the user' }
    await provider.interactionFinished(req, res, denied, { mergeWithLastSubmission: false })
  })

  async function showSignIn(
    res: Response,
    { uid, params }: ProviderInteraction,
    attempt = { username: '', failed: false },
  ) {
    const usernames = accounts.list.map(account => account.username)
    res.render('sign-in', {
      title: 'Sign in',
      uid,
      clientName: await clientName(params.client_id),
      usernames,
      ...attempt,
    })
  }

  async function showConsent(res: Response, { uid, params }: ProviderInteraction) {
    const scopes = describeScopes(params.scope)
    res.render('consent', { title: 'Allow access', uid, clientName: await clientName(params.client_id), scopes })
  }

  async function clientName(clientId: string): Promise<string> {
    return (await provider.Client.find(clientId))?.clientName ?? clientId
  }

  return router
}

function formOf(req: Request): Record<string, unknown> {
  return req.body ?? {}
}
