import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { Redis } from 'ioredis'
import {
  CLIENT,
  type ContenderSettings,
  type CreateContender,
  describePerson,
  type Person,
  SCOPE,
} from '../contender.js'

interface Call {
  readonly method: string
  readonly url: string
  readonly authorization: string
  readonly body?: string
}

/**
 * No framework and no check: the least that a site with its sessions in Redis does. The callback makes the same calls to the provider
 * as ours, the page one GET.
 */
export const createFloor: CreateContender = settings => {
  const redis = new Redis(settings.redisUrl)
  const agent = new Agent({ keepAlive: true })
  const key = randomBytes(32)
  const macOf = (id: string) => createHmac('sha256', key).update(id).digest('base64url')

  function idOf({ headers: { cookie = '' } }: IncomingMessage): string | undefined {
    const [id = '', mac = ''] = /sid=([^;]*)/.exec(cookie)?.[1]?.split('.') ?? []
    const expected = macOf(id)
    return mac.length === expected.length && timingSafeEqual(Buffer.from(mac), Buffer.from(expected)) ? id : undefined
  }

  async function signIn(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(req))
    const { tokens, user } = await askProvider(settings, agent, form)
    const id = randomBytes(32).toString('base64url')
    await redis.set(`floor:${id}`, JSON.stringify({ user, tokens }), 'EX', 86_400)
    res.writeHead(303, { location: '/page', 'set-cookie': `sid=${id}.${macOf(id)}; Path=/; HttpOnly` }).end()
  }

  async function showPage(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const id = idOf(req)
    const stored = id === undefined ? null : await redis.get(`floor:${id}`)
    const { user = {} } = stored === null ? {} : (JSON.parse(stored) as { user?: Person })
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(describePerson(user)))
  }

  const location = authorizationUrl(settings)
  return (req, res) => {
    if (req.url === '/page') void showPage(req, res)
    else if (req.url === '/callback') void signIn(req, res)
    else if (req.url === '/login') res.writeHead(302, { location }).end()
    else res.end('{}')
  }
}

export function authorizationUrl({ baseUrl, issuer, responseType }: ContenderSettings): string {
  const parameters = {
    client_id: CLIENT.id,
    redirect_uri: `${baseUrl}/callback`,
    response_type: responseType,
    response_mode: 'form_post',
    scope: SCOPE,
    state: 'state',
    nonce: 'nonce',
  }
  return `${issuer}/authorize?${new URLSearchParams(parameters)}`
}

/** Token and userinfo, at the same time where the form brought an access token. */
export async function askProvider(
  { issuer, baseUrl, userInfo }: ContenderSettings,
  agent: Agent,
  form: URLSearchParams,
) {
  const basic = `Basic ${Buffer.from(`${encodeURIComponent(CLIENT.id)}:${encodeURIComponent(CLIENT.secret)}`).toString('base64')}`
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code: form.get('code') ?? '',
    redirect_uri: `${baseUrl}/callback`,
  })
  const askUserInfo = (token: string) =>
    call(agent, { method: 'GET', url: `${issuer}/userinfo`, authorization: `Bearer ${token}` })
  const frontToken = form.get('access_token')
  const early = userInfo && frontToken !== null ? askUserInfo(frontToken) : undefined
  const tokens = await call(agent, { method: 'POST', url: `${issuer}/token`, authorization: basic, body: String(body) })
  const user = userInfo ? await (early ?? askUserInfo(String(tokens.access_token))) : claimsOf(String(tokens.id_token))
  return { tokens, user }
}

function claimsOf(idToken: string): object {
  return JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as object
}

function call(agent: Agent, { method, url, authorization, body }: Call): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const headers = { authorization, ...(body && { 'content-type': 'application/x-www-form-urlencoded' }) }
    const sent = request(url, { agent, method, headers }, async response => resolve(JSON.parse(await text(response))))
    sent.on('error', reject).end(body)
  })
}
