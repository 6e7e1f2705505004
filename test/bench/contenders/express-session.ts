import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import * as client from 'openid-client'
import { CART, CLIENT, type CreateContender, describePerson, SCOPE, SESSION_SECRET } from '../contender.js'

declare module 'express-session' {
  interface SessionData {
    attempt: { state: string; nonce: string; codeVerifier: string }
    user: Readonly<Record<string, unknown>>
    tokens: object
  }
}

/** express-session, connect-redis and ioredis as their documentation sets them up, with openid-client for the sign-in. */
export const createExpressSession: CreateContender = async ({ baseUrl, issuer, redisUrl, responseType, userInfo }) => {
  const config = await client.discovery(new URL(issuer), CLIENT.id, CLIENT.secret, undefined, {
    execute: [client.allowInsecureRequests],
  })
  if (responseType === 'code id_token') client.useCodeIdTokenResponseType(config)
  const app = express()
  app.use(
    session({
      store: new RedisStore({ client: new Redis(redisUrl) }),
      secret: SESSION_SECRET,
      resave: false,
      saveUninitialized: false,
    }),
  )

  app.get('/login', async (req, res) => {
    const attempt = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
    }
    req.session.attempt = attempt
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: `${baseUrl}/callback`,
      scope: SCOPE,
      response_mode: 'form_post',
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(attempt.codeVerifier),
      code_challenge_method: 'S256',
    })
    res.redirect(url.href)
  })

  app.post('/callback', express.urlencoded({ extended: false }), async (req, res) => {
    const { state, nonce, codeVerifier } = req.session.attempt ?? { state: '', nonce: '', codeVerifier: '' }
    const request = new Request(`${baseUrl}/callback`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(req.body).toString(),
    })
    const tokens = await client.authorizationCodeGrant(config, request, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: codeVerifier,
      idTokenExpected: true,
    })
    const claims = { ...tokens.claims() }
    const info = userInfo ? await client.fetchUserInfo(config, tokens.access_token, String(claims.sub)) : {}
    await new Promise(resolve => req.session.regenerate(resolve))
    const { id_token, access_token, refresh_token, expires_in } = tokens
    req.session.user = { ...claims, ...info }
    req.session.tokens = { id_token, access_token, refresh_token, expires_in }
    await new Promise(resolve => req.session.save(resolve))
    res.redirect('/page')
  })

  app.get('/page', (req, res) => void res.json(describePerson(req.session.user ?? {})))
  app.get('/cart', (req, res) => {
    res.json({ ...describePerson(req.session.user ?? {}), items: req.session.cart?.items.length })
  })
  app.get('/fill', (req, res) => {
    req.session.cart = CART
    res.json({})
  })
  app.get('/open', (_req, res) => void res.json({ open: true }))
  return app
}
