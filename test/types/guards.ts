import express from 'express'
import { attemptSilentLogin, openIdConnect, requiresAuth, requiresClaim, requiresScope } from 'express-hybrid-oidc'

const app = express()
const oidc = openIdConnect()
app.use(oidc)
app.use('/shop', oidc)
app.use(oidc.proxy('/api', { target: new URL('https://api.example.com') }))

app.get('/claims', requiresAuth(), (req, res) => res.json(req.oidc.user))
app.get('/orders/:id', requiresAuth({ maxAge: 300 }), requiresScope('orders.read', { ask: true }), (req, res) => {
  // Guards leave Express' own inference of parameters alone.
  res.send(req.params.id?.toString())
})
app.get('/pay', requiresAuth({ acr: ['mfa', 'hwk'] }), (_req, res) => res.end())
app.use('/admin', requiresClaim('role', 'admin'), requiresClaim('level', 3), requiresClaim('active', true))

app.use('/news', attemptSilentLogin(), attemptSilentLogin({ provider: 'acme' }), oidc.attemptSilentLogin())
// @ts-expect-error where to land is the page itself
attemptSilentLogin({ returnTo: '/' })

// @ts-expect-error a claim has a value
requiresClaim('role')
// @ts-expect-error objects are not compared
requiresClaim('role', { name: 'admin' })
// @ts-expect-error a scope is a string
requiresScope(['orders.read'])
// @ts-expect-error seconds are a number
requiresAuth({ maxAge: '5m' })
// @ts-expect-error a guard is made by a call
app.get('/forgotten', requiresAuth, (_req, res) => res.end())

app.get('/any', requiresClaim('role', ['admin', 'editor']), (_req, res) => res.end())
app.get('/staff', oidc.requiresAuth({ acr: 'mfa' }), oidc.requiresScope('orders'), oidc.requiresClaim('role', 'admin'))
// @ts-expect-error no value is no requirement
requiresClaim('role', undefined)
