import { createRequire } from 'node:module'
import { RedisStore } from 'connect-redis'
import express, { type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import {
  CLIENT,
  type ContenderSettings,
  type CreateContender,
  describePerson,
  SCOPE,
  SESSION_SECRET,
} from '../contender.js'

/** express-openid-connect with its sessions in Redis. */
export const createExpressOpenIdConnect: CreateContender = settings =>
  createSite(settings, new RedisStore({ client: new Redis(settings.redisUrl), prefix: 'eoc:' }))

/** express-openid-connect as it comes: everything in an encrypted cookie. */
export const createExpressOpenIdConnectCookie: CreateContender = settings => createSite(settings, undefined)

/** Its types say what `req.oidc` is, and so do ours, so the two cannot be in one program. */
const { auth } = createRequire(import.meta.url)('express-openid-connect') as { auth(config: object): RequestHandler }

function createSite({ baseUrl, issuer, responseType, userInfo }: ContenderSettings, store: RedisStore | undefined) {
  const app = express()
  app.use(
    auth({
      issuerBaseURL: issuer,
      baseURL: baseUrl,
      clientID: CLIENT.id,
      clientSecret: CLIENT.secret,
      secret: SESSION_SECRET,
      authRequired: false,
      authorizationParams: { response_type: responseType, response_mode: 'form_post', scope: SCOPE },
      ...(store && { session: { store } }),
      ...(userInfo && {
        afterCallback: async (req: express.Request, _res: express.Response, session: object) => ({
          ...session,
          userInfo: await (req.oidc as unknown as { fetchUserInfo(): Promise<object> }).fetchUserInfo(),
        }),
      }),
    }),
  )
  app.get('/page', (req, res) => void res.json(describePerson(req.oidc.user ?? {})))
  app.get('/open', (_req, res) => void res.json({ open: true }))
  return app
}
