import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import passport from 'passport'
import { Strategy } from 'passport-openidconnect'
import { CLIENT, type CreateContender, describePerson, type Person, SCOPE, SESSION_SECRET } from '../contender.js'

/** passport with passport-openidconnect, over express-session and connect-redis. It knows the response type `code` only. */
export const createPassport: CreateContender = ({ baseUrl, issuer, redisUrl }) => {
  const app = express()
  app.use(
    session({
      store: new RedisStore({ client: new Redis(redisUrl), prefix: 'passport:' }),
      secret: SESSION_SECRET,
      resave: false,
      saveUninitialized: false,
    }),
  )
  const settings = {
    issuer,
    authorizationURL: `${issuer}/authorize`,
    tokenURL: `${issuer}/token`,
    userInfoURL: `${issuer}/userinfo`,
    clientID: CLIENT.id,
    clientSecret: CLIENT.secret,
    callbackURL: `${baseUrl}/callback`,
    scope: SCOPE.split(' ').slice(1),
  }
  // How many parameters the function has decides whether userinfo is asked: seven, no.
  passport.use(
    new Strategy(settings, (_issuer, _profile, _context, idToken, accessToken, refreshToken, done) =>
      done(null, { ...claimsOf(idToken), tokens: { idToken, accessToken, refreshToken } }),
    ),
  )
  passport.serializeUser((user, done) => done(null, user))
  passport.deserializeUser((user, done) => done(null, user))
  app.use(passport.session())
  app.get('/login', passport.authenticate('openidconnect'))
  app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/page' }))
  app.get('/page', (req, res) => void res.json(describePerson((req as { user?: Person }).user ?? {})))
  app.get('/open', (_req, res) => void res.json({ open: true }))
  return app
}

function claimsOf(idToken: string): object {
  return JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as object
}
