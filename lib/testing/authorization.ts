import { randomUUID } from 'node:crypto'
import { issueAccessToken, readDetails } from './access-token.js'
import type { PendingGrant } from './grant-book.js'
import { type FakeEndpoints, type FakeResponse, RefusedRequest } from './response.js'

const responseParts: ReadonlySet<string> = new Set(['code', 'id_token', 'token'])

/** Grants everything unless a test expects a refusal, after the checks that tell a site's author what is wrong with the request. */
export async function authorize(provider: FakeEndpoints, params: URLSearchParams): Promise<FakeResponse> {
  const { issuer, clientId, expiresIn, signer, book } = provider
  const parts = required(params, 'response_type').split(' ')
  const redirectUri = required(params, 'redirect_uri')
  const state = required(params, 'state')
  if (params.get('client_id') !== clientId)
    throw new RefusedRequest('unauthorized_client', `client_id is not ${clientId}`)
  if (!URL.canParse(redirectUri)) throw new RefusedRequest('invalid_request', 'redirect_uri is not an absolute URL')
  if (parts.some(part => !responseParts.has(part))) {
    throw new RefusedRequest('unsupported_response_type', 'response_type has an unknown word')
  }
  const pending = book.takeOutcome(state)
  const isPost = params.get('response_mode') === 'form_post'
  const respond = (fields: Readonly<Record<string, string>>) =>
    isPost ? formPost(redirectUri, fields) : inQuery(redirectUri, fields)
  if ('error' in pending) {
    return respond({ state, iss: issuer, error: pending.error, error_description: 'The test asked for this refusal.' })
  }
  const grant: PendingGrant = {
    user: pending.user,
    scope: params.get('scope') ?? 'openid',
    sid: randomUUID(),
    nonce: params.get('nonce') ?? undefined,
    redirectUri,
    details: readDetails(params),
    codeChallenge: params.has('code_challenge') ? required(params, 'code_challenge') : undefined,
  }
  const code = parts.includes('code') ? book.issueCode(grant) : undefined
  const accessToken = parts.includes('token')
    ? await issueAccessToken(provider, { grant, scope: grant.scope, details: grant.details })
    : undefined
  const fields = {
    state,
    iss: issuer,
    ...(code !== undefined && { code }),
    ...(accessToken !== undefined && {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: String(expiresIn),
      scope: grant.scope,
    }),
    ...(parts.includes('id_token') && { id_token: await signer.signIdToken(grant, { code, accessToken }) }),
  }
  return respond(fields)
}

function required(params: URLSearchParams, name: string): string {
  const value = params.get(name)
  if (value === null || value === '') throw new RefusedRequest('invalid_request', `${name} is missing`)
  return value
}

function inQuery(redirectUri: string, fields: Readonly<Record<string, string>>): FakeResponse {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value)
  return { location: url.href }
}

/** OAuth 2.0 Form Post Response Mode 1.0. */
function formPost(redirectUri: string, fields: Readonly<Record<string, string>>): FakeResponse {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${escapeAttribute(value)}">`,
  )
  return {
    html: `<!doctype html>
<title>Signing in</title>
<body onload="document.forms[0].submit()">
<form method="post" action="${escapeAttribute(redirectUri)}">
${inputs.join('\n')}
<noscript><button>Continue</button></noscript>
</form>
`,
  }
}

function escapeAttribute(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

/** The form of {@link authorize}, as a browser reads it. */
export function readFormPost(html: string): { readonly action: string; readonly body: string } {
  const [, action = ''] = /<form method="post" action="([^"]*)">/.exec(html) ?? []
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)
  const fields = [...inputs].map(([, name = '', value = '']) => [name, unescapeAttribute(value)])
  return { action: unescapeAttribute(action), body: new URLSearchParams(Object.fromEntries(fields)).toString() }
}

function unescapeAttribute(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
}
