import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { authorize } from './authorization.js'
import { type FakeEndpoints, type FakeResponse, RefusedRequest } from './response.js'
import { respondToTokenRequest } from './token-requests.js'

type Endpoint = (request: IncomingMessage, params: URLSearchParams) => FakeResponse | Promise<FakeResponse>

export function createEndpoints(provider: FakeEndpoints): RequestListener {
  const { signer, book } = provider
  const endpoints = new Map<string, Endpoint>([
    ['/.well-known/openid-configuration', () => ({ json: buildMetadata(provider) })],
    ['/jwks', () => ({ json: signer.jwks })],
    ['/authorize', (_request, params) => authorize(provider, params)],
    ['/token', (request, params) => respondToTokenRequest(provider, request.headers.authorization, params)],
    ['/userinfo', request => respondToUserInfo(provider, request)],
    [
      '/revoke',
      (_request, params) => {
        book.revoke(params.get('token') ?? '')
        return { json: {} }
      },
    ],
    ['/end-session', (_request, params) => signOut(params)],
  ])
  return (request, response) => {
    const url = new URL(request.url ?? '/', provider.issuer)
    const endpoint = endpoints.get(url.pathname)
    respond(request, url, endpoint).then(
      result => write(response, result),
      (error: unknown) => write(response, describeFailure(error)),
    )
  }
}

async function respond(request: IncomingMessage, url: URL, endpoint: Endpoint | undefined): Promise<FakeResponse> {
  if (endpoint === undefined) throw new RefusedRequest('not_found', 'the fake provider has no such address', 404)
  return endpoint(request, request.method === 'POST' ? await readForm(request) : url.searchParams)
}

function buildMetadata({ issuer }: FakeEndpoints): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/end-session`,
    revocation_endpoint: `${issuer}/revoke`,
    response_types_supported: [
      'code',
      'code id_token',
      'code token',
      'code id_token token',
      'id_token',
      'id_token token',
    ],
    response_modes_supported: ['form_post', 'query'],
    grant_types_supported: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
}

function respondToUserInfo({ book }: FakeEndpoints, { headers }: IncomingMessage): FakeResponse {
  const grant = book.findByAccessToken(/^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '')
  return grant === undefined ? { status: 401, json: { error: 'invalid_token' } } : { json: grant.user }
}

/** The fake provider has no sessions to end, so it only redirects back. */
function signOut(params: URLSearchParams): FakeResponse {
  const back = params.get('post_logout_redirect_uri')
  if (back === null) return { html: '<!doctype html><title>Signed out</title><p>You are signed out.</p>' }
  const target = new URL(back)
  const state = params.get('state')
  if (state !== null) target.searchParams.set('state', state)
  return { location: target.href }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

function describeFailure(error: unknown): FakeResponse {
  if (!(error instanceof RefusedRequest)) return { status: 500, json: { error: 'server_error' } }
  return { status: error.status, json: { error: error.error, error_description: error.message } }
}

function write(response: ServerResponse, { status, location, html, json }: FakeResponse): void {
  response.setHeader('Cache-Control', 'no-store')
  if (location !== undefined) response.writeHead(status ?? 303, { Location: location }).end()
  else if (html !== undefined)
    response.writeHead(status ?? 200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html)
  else response.writeHead(status ?? 200, { 'Content-Type': 'application/json' }).end(JSON.stringify(json))
}
