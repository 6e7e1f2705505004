import type { JwtEncryption, JwtEvent, RedactedFields } from './events.js'

/** Parameters that describe the request and say nothing about the user. */
const open: ReadonlySet<string> = new Set([
  'acr_values',
  'client_id',
  'client_assertion_type',
  'code_challenge_method',
  'display',
  'error',
  'expires_in',
  'grant_type',
  'iss',
  'max_age',
  'post_logout_redirect_uri',
  'prompt',
  'redirect_uri',
  'resource',
  'response_mode',
  'response_type',
  'scope',
  'token_type',
  'token_type_hint',
  'ui_locales',
])

/** Long random values, of which the beginning lets a reader see that two are the same. */
const random: ReadonlySet<string> = new Set([
  'access_token',
  'code',
  'code_challenge',
  'id_token',
  'nonce',
  'session_state',
  'state',
])

const mostFields = 40
const mostCharacters = 200

/** Fields as they can be shown to a developer and written to a log. What is not known by name is not shown at all. */
export function redactFields(fields: Iterable<readonly [string, unknown]>): RedactedFields {
  const redacted: Record<string, string> = {}
  for (const [name, value] of [...fields].slice(0, mostFields)) {
    if (value !== undefined && value !== null) redacted[printable(name, 40)] = redactValue(name, value)
  }
  return redacted
}

function redactValue(name: string, value: unknown): string {
  if (name === 'authorization_details') return typesIn(value)
  const text = Array.isArray(value) ? value.join(' ') : String(value)
  if (open.has(name)) return printable(text, mostCharacters)
  // An eighth of a value does not reveal the rest of it.
  return random.has(name) ? `${printable(text.slice(0, Math.min(6, text.length >> 3)))}…` : '…'
}

/** The types of authorization details, which the provider documents. What else they say may be personal. */
function typesIn(value: unknown): string {
  try {
    const details = JSON.parse(String(value)) as readonly { readonly type: string }[]
    const types = new Set(details.map(({ type }) => String(type)))
    return `${printable([...types].join(' '))} …`
  } catch {
    return '…'
  }
}

/** An address without query and credentials. */
export function redactAddress(address: string): string {
  if (!URL.canParse(address)) return ''
  const { origin, pathname } = new URL(address)
  return printable(origin + pathname, mostCharacters)
}

/** Names of the members of a JSON object. */
export function memberNames(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.keys(value)
      .slice(0, mostFields)
      .map(name => printable(name, 40))
  } catch {
    return undefined
  }
}

/**
 * The algorithms of a JWT, from its headers and nothing else.
 *
 * @param sent - as it travels
 * @param signed - without its encryption; left out, it could not be opened
 */
export function describeJwt(
  sent: string | undefined,
  signed: string | undefined,
): { readonly alg?: string; readonly encryption?: JwtEncryption } {
  const { alg } = readHeader(signed)
  const outer = sent?.split('.', 6).length === 5 ? readHeader(sent) : undefined
  return {
    ...(alg !== undefined && { alg: printable(String(alg), 40) }),
    ...(outer && { encryption: { alg: printable(String(outer.alg), 40), enc: printable(String(outer.enc), 40) } }),
  }
}

/** What a line or a list says of a JWT, by names. */
export function algorithmsOf({ alg, encryption, issuer }: JwtEvent): RedactedFields {
  return {
    ...(alg !== undefined && { alg }),
    ...(encryption && { encryption: `${encryption.alg} ${encryption.enc}` }),
    ...(issuer !== undefined && { iss: issuer }),
  }
}

/** Of something that is about to be refused, too. */
function readHeader(token = ''): { readonly alg?: unknown; readonly enc?: unknown } {
  try {
    return { ...JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) }
  } catch {
    return {}
  }
}

/** Of a DPoP proof, whether the server's nonce is in it. */
export function describeProof(proof: string | undefined): { readonly dpop?: { readonly nonce: boolean } } {
  if (proof === undefined) return {}
  const claims: object = JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString())
  return { dpop: { nonce: 'nonce' in claims } }
}

function printable(text: string, length = mostCharacters): string {
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, length)
}
