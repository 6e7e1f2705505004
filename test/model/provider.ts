import { hash, randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import { secret } from '../support/secrets.js'

/** Who is signed in at the provider, in the one browser there is. */
export interface Account {
  readonly user: string
  readonly sid: string
}

/** A request to sign in, as the browser brings it. */
export interface AuthorizationRequest {
  readonly state: string
  readonly nonce: string
}

/** What the provider makes the browser post. */
export interface AuthorizationResponse {
  readonly user: string
  readonly state: string
  readonly body: string
}

/** A token request that waits. */
export interface Gate {
  /** The request has come. */
  readonly reached: Promise<void>
  open(): void
}

/** A provider without a server: the middleware asks it by a `fetch` of its own. It refuses every refresh. */
export interface ModelProvider {
  readonly fetch: typeof globalThis.fetch
  readonly options: { readonly issuer: string; readonly clientId: string; readonly clientSecret: string }
  readonly metadata: Readonly<Record<string, unknown>>
  authorize(request: AuthorizationRequest, account: Account): Promise<AuthorizationResponse>
  logoutToken(user: string): Promise<string>
  /** The next token request waits until the gate opens. */
  holdNext(): Gate
}

const issuer = 'https://provider.example'
const clientId = 'model'
export const endSessionEndpoint = `${issuer}/end-session`
export const authorizationEndpoint = `${issuer}/authorize`

export function createModelProvider(): ModelProvider {
  const clientSecret = secret('client secret')
  const grants = new Map<string, { readonly account: Account; readonly nonce: string; readonly iat: number }>()
  let held: { readonly reach: () => void; readonly opened: Promise<void> } | undefined

  function sign(claims: Record<string, unknown>, typ: string): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const all = { iss: issuer, aud: clientId, iat: now, exp: now + 300, ...claims }
    return new SignJWT(all).setProtectedHeader({ alg: 'HS256', typ }).sign(Buffer.from(clientSecret))
  }

  async function answerTokenRequest(body: URLSearchParams): Promise<Response> {
    const waiting = held
    held = undefined
    waiting?.reach()
    await waiting?.opened
    const code = body.get('code') ?? ''
    const grant = grants.get(code)
    grants.delete(code)
    if (grant === undefined) return Response.json({ error: 'invalid_grant' }, { status: 400 })
    const { account, nonce, iat } = grant
    return Response.json({
      access_token: randomBytes(16).toString('hex'),
      refresh_token: randomBytes(16).toString('hex'),
      token_type: 'Bearer',
      expires_in: 3600,
      id_token: await sign({ sub: account.user, sid: account.sid, nonce, iat }, 'JWT'),
    })
  }

  return {
    options: { issuer, clientId, clientSecret },
    metadata: {
      issuer,
      authorization_endpoint: authorizationEndpoint,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      end_session_endpoint: endSessionEndpoint,
      response_types_supported: ['code id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['HS256'],
    },
    async fetch(url, init) {
      if (String(url) === `${issuer}/token`) return answerTokenRequest(new URLSearchParams(String(init?.body)))
      return Response.json({ keys: [] })
    },
    async authorize({ state, nonce }, account) {
      const code = randomBytes(12).toString('hex')
      grants.set(code, { account, nonce, iat: Math.floor(Date.now() / 1000) })
      const c_hash = hash('sha256', code, 'buffer').subarray(0, 16).toString('base64url')
      const idToken = await sign({ sub: account.user, sid: account.sid, nonce, c_hash }, 'JWT')
      return {
        user: account.user,
        state,
        body: new URLSearchParams({ state, code, id_token: idToken, iss: issuer }).toString(),
      }
    },
    logoutToken(user) {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      return sign({ sub: user, jti: randomBytes(8).toString('hex'), events }, 'logout+jwt')
    },
    holdNext() {
      let reach = () => {}
      let open = () => {}
      const reached = new Promise<void>(resolve => {
        reach = resolve
      })
      const opened = new Promise<void>(resolve => {
        open = resolve
      })
      const mine = { reach, opened }
      held = mine
      return {
        reached,
        open() {
          if (held === mine) held = undefined
          open()
        },
      }
    },
  }
}
