import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash, randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { text } from 'node:stream/consumers'
import express, { type Request, type Response } from 'express'
import { Redis } from 'ioredis'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { CLIENT, type CreateContender, SESSION_SECRET } from '../contender.js'
import { askProvider, authorizationUrl } from './floor.js'

const key = createSecretKey(hash('sha256', SESSION_SECRET, 'buffer'))
const PRIVATE = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
}

/**
 * The floor with what our promises cost whoever keeps them: Express, an encrypted state and an encrypted cookie that binds the browser, both
 * ID Tokens verified, everything encrypted at rest, and as many commands to Redis in as many round trips as ours. Nothing else: one key,
 * no diagnostics, no refusal but what throws.
 */
export const createCheckedFloor: CreateContender = settings => {
  const redis = new Redis(settings.redisUrl)
  const agent = new Agent({ keepAlive: true })
  const keys = createRemoteJWKSet(new URL(`${settings.issuer}/jwks`))
  const location = authorizationUrl(settings)

  async function verify(idToken: string | null, nonce: string) {
    const { payload } = await jwtVerify(String(idToken), keys, { issuer: settings.issuer, audience: CLIENT.id })
    if (payload.nonce !== nonce) throw new Error('another nonce')
    return payload
  }

  function startSignIn(_req: Request, res: Response): void {
    const [id, seed] = [randomBytes(16).toString('base64url'), randomBytes(16).toString('base64url')]
    const { nonce, verifier } = deriveSecrets(seed, id)
    const state = seal({ seed, returnTo: '/page', at: Date.now() })
    const challenge = hash('sha256', verifier, 'base64url')
    const url = new URL(location)
    const asked = { state, nonce, code_challenge: challenge, code_challenge_method: 'S256' }
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value)
    res.setHeader('Set-Cookie', `binding=${seal({ id })}; Path=/; HttpOnly`)
    res.writeHead(303, { ...PRIVATE, location: url.href }).end()
  }

  async function signIn(req: Request, res: Response): Promise<void> {
    const form = new URLSearchParams(await text(req))
    const { seed } = open(String(form.get('state')))
    const { id: binding } = open(/binding=([^;]*)/.exec(req.headers.cookie ?? '')?.[1] ?? '')
    const { nonce } = deriveSecrets(String(seed), String(binding))
    await redis.set(`checked:used:${seed}`, '1', 'EX', 900, 'NX')
    const front = await verify(form.get('id_token'), nonce)
    const { tokens, user } = await askProvider(settings, agent, form)
    const claims = await verify(String(tokens.id_token), nonce)
    if (claims.sub !== front.sub) throw new Error('another user')
    const id = randomBytes(32).toString('base64url')
    const contents = [{ claims, user }, tokens, { sub: claims.sub }, { id }, { id }].map(seal)
    const [ticket = '', sealedTokens = '', summary = '', browser = '', mark = ''] = contents
    await Promise.all([
      redis.hset(`checked:${id}`, { ticket, tokens: sealedTokens, summary }),
      redis.zadd(`checked:sub:${claims.sub}`, Date.now(), id),
      redis.zadd(`checked:sid:${claims.sid}`, Date.now(), id),
      redis.zadd(`checked:browser:${binding}`, Date.now(), browser),
    ])
    await Promise.all([
      redis.set(`checked:used:${seed}`, mark, 'EX', 900),
      redis.get(`checked:out:${claims.sub}`),
      redis.get(`checked:out:${binding}`),
      redis.zscore(`checked:sub:${claims.sub}`, id),
      redis.zscore(`checked:sid:${claims.sid}`, id),
    ])
    const mac = createHmac('sha256', key).update(id).digest('base64url')
    res.setHeader('Set-Cookie', [
      `sid=${id}.${mac}; Path=/; HttpOnly`,
      `binding=${seal({ id: binding })}; Path=/; HttpOnly`,
    ])
    res.writeHead(303, { ...PRIVATE, location: '/page' }).end()
  }

  const app = express()
  app.get('/login', startSignIn)
  app.post('/callback', signIn)
  return app
}

function deriveSecrets(seed: string, binding: string) {
  const both = createHmac('sha512', `${seed}.${binding}`).update('nonce and code verifier').digest()
  return { nonce: both.toString('base64url', 0, 32), verifier: both.toString('base64url', 32) }
}

function seal(content: object): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const body = cipher.update(JSON.stringify(content), 'utf8')
  return Buffer.concat([iv, body, cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function open(sealed: string): Readonly<Record<string, unknown>> {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAuthTag(bytes.subarray(-16))
  const body = decipher.update(bytes.subarray(12, -16))
  decipher.final()
  return JSON.parse(body.toString()) as Record<string, unknown>
}
