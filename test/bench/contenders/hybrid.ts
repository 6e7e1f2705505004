import express from 'express'
import { Redis } from 'ioredis'
import * as own from '../../../lib/index.js'
import { CART, CLIENT, type CreateContender, describePerson, SCOPE, SESSION_SECRET } from '../contender.js'

declare module 'express-session' {
  interface SessionData {
    cart: typeof CART
  }
}

/** This package. */
export const createHybrid: CreateContender = async ({ build, api, ...settings }) => {
  const { baseUrl, issuer, redisUrl, responseType, userInfo, dpop = false } = settings
  const { openIdConnect } = build === undefined ? own : ((await import(build)) as typeof own)
  const oidc = openIdConnect({
    issuer,
    baseUrl,
    responseType,
    userInfo,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    scope: SCOPE,
    secret: SESSION_SECRET,
    redis: new Redis(redisUrl),
    // An earlier build has no such option.
    ...(dpop && { dpop }),
    apis: [issuer],
    // Other work on the machine may stop a process for a while.
    timeouts: { redis: 10_000 },
  })
  await oidc.ready()
  const app = express()
  app.use(oidc)
  if (api !== undefined) app.use(oidc.proxy('/api', { target: api }))
  app.get('/page', (req, res) => void res.json(describePerson(req.oidc.user ?? {})))
  app.get('/cart', (req, res) => {
    res.json({ ...describePerson(req.oidc.user ?? {}), items: req.session.cart?.items.length })
  })
  app.get('/call', (req, res, next) => {
    req.oidc
      .fetch(`${issuer}/userinfo`)
      .then(async response => (await response.json()) as Parameters<typeof describePerson>[0])
      .then(person => res.json(describePerson(person)), next)
  })
  app.get('/fill', (req, res) => {
    req.session.cart = CART
    res.json({})
  })
  app.get('/open', (_req, res) => void res.json({ open: true }))
  return app
}
