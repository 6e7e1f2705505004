import { observe } from '../diagnostics/publish.js'
import { describeProof, memberNames, redactAddress, redactFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { printable } from '../protocol/printable.js'
import { isSecureUrl } from '../protocol/url.js'
import { COUNTING_PAUSES, Deadline } from '../time.js'
import type { CertificateSource } from './client-certificate.js'
import { createFetchTransport } from './fetch-transport.js'
import { createNodeTransport } from './node-transport.js'
import { createHttpResponse, type HttpResponse } from './response.js'
import type { ProviderRequest, ProviderResponse } from './transport.js'

/** How requests to the provider are made. */
export interface HttpSettings {
  /** What a site gives to be used for everything. Left out: Node's own client, and the platform's `fetch` for {@link Http.stream}. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** The certificate that this site shows. `fetch`, where it is given, has to show it itself. */
  readonly certificate?: CertificateSource | undefined
  /** Milliseconds for a whole exchange, from the first byte sent to the last byte read. Default 10 000. */
  readonly timeout?: number | undefined
  /** Bytes of a decompressed body that are read at most. Default 1 MiB. */
  readonly maxResponseBytes?: number
}

/** Fields of a form by their names; those with several values are repeated. */
export type FormFields = Readonly<Record<string, string | readonly string[]>>

/** The way to the provider. No redirect is followed. A POST is sent once; a GET whose response was cut off is sent once more. */
export interface Http {
  /** @param options - `dpop` makes a proof for one attempt: the token is one that is bound to a key then */
  getJson(url: string, options?: { accept?: string; bearer?: string; dpop?: () => string }): Promise<HttpResponse>
  postForm(
    url: string,
    body: FormFields,
    headers: Readonly<Record<string, string>>,
    /** Milliseconds under a lease, so that pauses of the process count. Default: the timeout of all requests, where they do not. */
    timeout?: number,
  ): Promise<HttpResponse>
  /**
   * Client registration: the one place where the provider gets JSON.
   * @param options - `secrets` are those in the body, which the provider must not get to repeat in a log
   */
  sendJson(method: ProviderRequest['method'], url: string, options: JsonRequest): Promise<HttpResponse>
  /** Returns a response of any status unread, redirects included. For services other than the provider: no deadline, no limit. */
  stream(url: URL, init: RequestInit): Promise<Response>
}

/** A request with a JSON body, or with none. */
export interface JsonRequest {
  readonly bearer?: string | undefined
  readonly json?: object | undefined
  readonly secrets?: readonly string[]
}

type Exchange = Pick<ProviderRequest, 'method' | 'headers' | 'body'> & {
  /** A new one for every attempt. */
  readonly dpop?: (() => string) | undefined
  /** Those of a body that is no form. */
  readonly secrets?: readonly string[] | undefined
}

const DEFAULT_TIMEOUT = 10_000
const DEFAULT_MAX_RESPONSE_BYTES = 1024 * 1024

/**
 * @throws {OidcError} from the methods: ERR_OIDC_METADATA for a URL that is neither https nor loopback,
 * ERR_OIDC_PROVIDER_UNAVAILABLE if no complete response arrived in time, ERR_OIDC_PROVIDER_RESPONSE for a redirect and for a
 * body that is too large or no UTF-8.
 */
export function createHttp(settings: HttpSettings): Http {
  const { fetch, certificate, timeout = DEFAULT_TIMEOUT, maxResponseBytes = DEFAULT_MAX_RESPONSE_BYTES } = settings
  const send = fetch === undefined ? createNodeTransport(certificate) : createFetchTransport(fetch)

  async function exchange(
    address: string,
    { dpop, secrets = [], ...request }: Exchange,
    leased?: number,
  ): Promise<HttpResponse> {
    const url = parseTarget(address)
    const { passed, deadline } = createTimeout(leased ?? timeout, leased === undefined ? undefined : COUNTING_PAUSES)

    async function attempt(isRepeat: boolean): Promise<ProviderResponse> {
      const headers = dpop === undefined ? request.headers : { ...request.headers, dpop: dpop() }
      const pending = send({ ...request, headers, url, limit: maxResponseBytes, isRepeat })
      try {
        const incoming = await Promise.race([pending.response, passed])
        checkNotRedirected(incoming)
        return incoming
      } catch (error) {
        pending.cancel()
        if (isRepeat || request.method !== 'GET' || !wasCut(error) || deadline.isOver) throw error
        return attempt(true)
      }
    }

    try {
      return createHttpResponse(await attempt(false), () => [...secrets, ...secretsIn(request)])
    } catch (error) {
      throw error instanceof OidcError ? error : unavailable(url, error)
    } finally {
      deadline.clear()
    }
  }

  /** Few sites show a certificate, so that the others do not load what it takes. */
  const loadCertificateFetch = (source: CertificateSource) =>
    import('./certificate-fetch.js').then(({ createCertificateFetch }) => createCertificateFetch(source))
  let certificateFetch: Promise<typeof globalThis.fetch> | undefined
  async function streamFetch(): Promise<typeof globalThis.fetch> {
    if (fetch !== undefined || certificate === undefined) return fetch ?? globalThis.fetch
    certificateFetch ??= loadCertificateFetch(certificate)
    return certificateFetch
  }

  function buildHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
    // The responses are small: without compression nothing has to be decompressed.
    const common = { 'accept-encoding': 'identity' }
    return { ...common, ...headers }
  }

  return {
    getJson(url, { accept = 'application/json', bearer, dpop } = {}) {
      const scheme = dpop === undefined ? 'Bearer' : 'DPoP'
      const authorization = bearer === undefined ? {} : { authorization: `${scheme} ${bearer}` }
      const proofs = rememberProof(dpop)
      const init = { method: 'GET', headers: buildHeaders({ accept, ...authorization }), dpop: proofs.dpop } as const
      return observeCall('GET', url, { proof: proofs.last }, () => exchange(url, init))
    },
    postForm(url, body, headers, leased) {
      const type = 'application/x-www-form-urlencoded'
      const init = {
        method: 'POST',
        headers: buildHeaders({ accept: 'application/json', ...headers, 'content-type': type }),
        body: encodeForm(body),
      } as const
      return observeCall('POST', url, { body, proof: () => headers.dpop }, () => exchange(url, init, leased))
    },
    sendJson(method, url, { bearer, json, secrets }) {
      const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      const type = json === undefined ? {} : { 'content-type': 'application/json' }
      const headers = buildHeaders({ accept: 'application/json', ...authorization, ...type })
      const init = { method, headers, secrets, ...(json !== undefined && { body: JSON.stringify(json) }) }
      return observeCall(method, url, {}, () => exchange(url, init))
    },
    stream: async (url, init) => (await streamFetch())(url, { ...init, redirect: 'manual' }),
  }
}

/** The proof of the last attempt, for those who observe the call. */
function rememberProof(dpop: (() => string) | undefined) {
  let proof: string | undefined
  const remember = (make: () => string) => {
    proof = make()
    return proof
  }
  return { dpop: dpop && (() => remember(dpop)), last: () => proof }
}

function encodeForm(fields: FormFields): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((text): [string, string] => [name, text]),
  )
  return new URLSearchParams(pairs).toString()
}

const SECRET_FIELDS = [
  'code',
  'code_verifier',
  'refresh_token',
  'client_secret',
  'client_assertion',
  'subject_token',
  'token',
]

/** What a provider must not get to repeat in a log: credentials and tokens, as they were sent and as they are. */
function secretsIn({ headers, body }: Exchange): readonly string[] {
  const form = new URLSearchParams(body)
  const [, credentials = ''] = (headers.authorization ?? '').split(' ')
  const [, encoded = ''] = Buffer.from(credentials, 'base64').toString().split(':')
  const secret = new URLSearchParams(`s=${encoded}`).get('s') ?? ''
  return [...SECRET_FIELDS.map(name => form.get(name) ?? ''), credentials, encoded, secret].filter(Boolean)
}

function observeCall(
  method: ProviderRequest['method'],
  url: string,
  { body = {}, proof }: { readonly body?: FormFields; readonly proof?: () => string | undefined },
  call: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  return observe(call, (timing, _error, response) => {
    const members = response && memberNames(response.text)
    return {
      type: 'provider-call',
      method,
      endpoint: redactAddress(url),
      fields: redactFields(Object.entries(body)),
      ...timing,
      ...(response && { status: response.status }),
      ...(members && { members }),
      ...describeProof(proof?.()),
      ...(response?.providerError && { refusal: response.providerError }),
    }
  })
}

function parseTarget(url: string): URL {
  const target = parseUrl(url)
  if (target === undefined || !isSecureUrl(target)) {
    throw new OidcError('ERR_OIDC_METADATA', 'an endpoint of the provider is neither an https URL nor on this machine')
  }
  return target
}

function parseUrl(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined
  }
}

/** A race beside the request, so that a `fetch` which ignores its signal ends in time too. */
function createTimeout(
  milliseconds: number,
  parts?: number,
): { readonly passed: Promise<never>; readonly deadline: Deadline } {
  let giveUp = (_error: Error) => {}
  const passed = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  return {
    passed,
    deadline: new Deadline(milliseconds, { expire: () => giveUp(new DOMException('', 'TimeoutError')) }, parts),
  }
}

/** A redirect would let the provider's host, or an attacker who controls it, choose another address for a code or a token. */
function checkNotRedirected({ status, isRedirect }: ProviderResponse): void {
  if (!isRedirect) return
  throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider responded with a redirect, which is not followed', {
    cause: { status },
  })
}

/** Only codes and names: the messages of network and header errors can quote an address, or an access token. */
function unavailable(target: URL, error: unknown): OidcError {
  const reason = reasonOf(error)
  const message = reason === 'TimeoutError' ? 'the provider did not respond in time' : 'the provider cannot be reached'
  return new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', message, { cause: { host: printable(target.host), reason } })
}

/** What Node's own client and the common implementations of `fetch` report for a connection that ended before the response was complete. */
const CUT = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
])

function wasCut(error: unknown): boolean {
  return !(error instanceof OidcError) && CUT.has(reasonOf(error))
}

function reasonOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : { cause: undefined }
  for (const candidate of [cause, error]) {
    if (candidate instanceof Error && 'code' in candidate && typeof candidate.code === 'string') return candidate.code
  }
  return error instanceof Error ? error.name : 'unknown'
}
