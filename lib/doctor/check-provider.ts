import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { OidcError } from '../errors.js'
import { isRecord } from '../protocol/json.js'
import { returnsCode } from '../protocol/response-type.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { dateOf } from '../provider/clock-watch.js'
import { buildMetadataUrl } from '../provider/discovery.js'
import { createHttp } from '../provider/http.js'
import { createProvider, type Provider } from '../provider/provider.js'
import type { TrustedAuthorities } from './browser-request.js'
import { type Finding, failure, good, info, warning } from './finding.js'
import type { Setup } from './setup.js'

/** Days before the end of a certificate from which on it is worth a warning. */
const CERTIFICATE_DAYS = 14
const DAY = 24 * 60 * 60 * 1000

/** A provider whose metadata is known, for the checks that need one. */
export interface KnownProvider {
  readonly provider: Provider
  readonly metadata: ProviderMetadata
}

/** Name, certificate, metadata, clock and keys. The caller calls `use` with what later checks need. */
export async function checkProvider(
  setup: Setup,
  use: (known: KnownProvider) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const network = setup.provider.metadata === undefined ? await checkNetwork(setup) : []
  if (network.some(({ level }) => level === 'error')) return network
  // The clock has a check of its own.
  const provider = createProvider({ ...setup.provider, clockTolerance: Number.MAX_SAFE_INTEGER })
  try {
    const metadata = await provider.metadata()
    const found = [
      ...network,
      good('provider.metadata', `The metadata of ${setup.config.issuer} fits the options.`),
      ...setup.takeLines().map(line => warning('provider.doubt', line)),
      ...(await checkClock(setup)),
      ...(await checkKeys(provider)),
      ...checkScope(setup, metadata),
    ]
    return [...found, ...(await use({ provider, metadata }))]
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return [...network, describeMetadataError(error, setup)]
  } finally {
    provider.close()
  }
}

/** The name of the provider's host and its certificate. With a `fetch` of the site, the way there is not ours to check. */
async function checkNetwork({ provider }: Setup): Promise<readonly Finding[]> {
  if (provider.fetch !== undefined) return []
  const url = new URL(provider.metadataUrl ?? buildMetadataUrl(provider.issuer))
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) === 0) {
    try {
      await lookup(host)
    } catch {
      const remedy = 'Correct the issuer, or the DNS server of this machine.'
      return [failure('provider.dns', `The name ${host} has no address.`, { remedy })]
    }
  }
  if (url.protocol !== 'https:') return []
  return checkCertificate({ host, port: Number(url.port || 443), ...(await trustedBy(provider)) }, provider.timeout)
}

/** The CAs of the option `mtls` count for the provider as well. A certificate that cannot be used is refused with the metadata. */
export async function trustedBy({ certificate }: Setup['provider']): Promise<TrustedAuthorities> {
  const { ca } = (await certificate?.().catch(() => undefined)) ?? {}
  return ca === undefined ? {} : { ca }
}

interface Server extends TrustedAuthorities {
  readonly host: string
  readonly port: number
}

async function checkCertificate(server: Server, timeout = 10_000): Promise<readonly Finding[]> {
  const { host } = server
  const certificate = await readCertificate(server, timeout)
  // A host that does not respond is found by the request for the metadata, which has the reason.
  if (certificate === undefined) return []
  if (certificate.error !== undefined) {
    const remedy =
      'Have the certificate renewed or completed by the provider. For a certificate authority of your own, start Node with NODE_EXTRA_CA_CERTS=/path/to/ca.pem.'
    return [failure('provider.tls', `The certificate of ${host} is not trusted.`, { cause: certificate.error, remedy })]
  }
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / DAY)
  if (days >= CERTIFICATE_DAYS) return [good('provider.tls', `The certificate of ${host} is trusted.`)]
  return [
    warning('provider.tls', `The certificate of ${host} expires in ${days} days.`, { remedy: 'Have it renewed.' }),
  ]
}

/** Reads the certificate without trusting it: nothing is sent. */
function readCertificate(
  { host, ...server }: Server,
  timeout: number,
): Promise<{ readonly error?: string; readonly validTo: string } | undefined> {
  return new Promise(resolve => {
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = connect({ host, ...server, ...name, rejectUnauthorized: false, timeout }, () => {
      const { authorizationError: error } = socket
      const validTo = socket.getPeerCertificate().valid_to
      socket.destroy()
      resolve({ validTo, ...(error && { error: String(error instanceof Error ? error.message : error) }) })
    })
    const giveUp = () => {
      socket.destroy()
      resolve(undefined)
    }
    socket.once('error', giveUp).once('timeout', giveUp)
  })
}

async function checkClock({ provider, config }: Setup): Promise<readonly Finding[]> {
  if (provider.metadata !== undefined) return []
  const http = createHttp(provider)
  const before = config.now().getTime()
  const { headers } = await http.getJson(provider.metadataUrl ?? buildMetadataUrl(provider.issuer))
  const date = dateOf(headers)
  if (date === undefined)
    return [info('clock.unknown', 'The responses of the provider have no date, so the clocks cannot be compared.')]
  // `Date` has whole seconds, so that on average half of one is missing.
  const seconds = Math.round(((before + config.now().getTime()) / 2 - date - 500) / 1000)
  const { clockTolerance } = config
  if (Math.abs(seconds) <= Math.max(clockTolerance / 2, 2))
    return [good('clock', "The clock of this machine and the provider's agree.")]
  const sentence = `The clock of this machine is ${Math.abs(seconds)} seconds ${seconds > 0 ? 'ahead of' : 'behind'} the provider's.`
  const cause = `A difference of more than ${clockTolerance} seconds (clockTolerance) makes every ID Token invalid.`
  const remedy = 'Set both clocks by NTP.'
  const say = Math.abs(seconds) > clockTolerance ? failure : warning
  return [say('clock.off', sentence, { cause, remedy })]
}

async function checkKeys(provider: Provider): Promise<readonly Finding[]> {
  try {
    await provider.warm()
    return [good('provider.keys', 'The keys of the provider can be read.')]
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    const remedy = 'ID Tokens cannot be verified without keys: the provider has to serve its jwks_uri to this machine.'
    return [failure('provider.keys', `${error.message}.`, { cause: describeCause(error), remedy })]
  }
}

/** Scopes that the provider says it has. OpenID Connect Discovery 1.0 section 3: it need not list them all. */
function checkScope({ config }: Setup, metadata: ProviderMetadata): readonly Finding[] {
  const words = [...new Set(['openid', ...config.scope.split(' ')])]
  const { scopes_supported: listed } = metadata as { readonly scopes_supported?: unknown }
  const unknown = Array.isArray(listed) ? words.filter(word => !listed.includes(word)) : []
  const missing = unknown.map(word =>
    warning('scope.unknown', `The provider does not list the scope "${word}".`, {
      cause:
        'A provider refuses the sign-in, or leaves out the claims and permissions of a scope that it does not have.',
      remedy: `Correct the option scope, or create the scope "${word}" at the provider and allow it for this client.`,
    }),
  )
  if (!returnsCode(config.responseType) || words.includes('offline_access')) return missing
  const cause = 'Some providers issue them without this scope; others need a parameter in authorizationParams.'
  return [
    ...missing,
    info('scope.offline', 'The option scope does not ask for refresh tokens (offline_access).', { cause }),
  ]
}

function describeMetadataError(error: OidcError, { config, provider }: Setup): Finding {
  const url = provider.metadataUrl ?? buildMetadataUrl(config.issuer)
  const cause = describeCause(error)
  switch (error.code) {
    case 'ERR_OIDC_METADATA_ISSUER':
      return failure('provider.issuer', `${error.message}.`, {
        cause: 'Every ID Token has the issuer of the metadata, and the option issuer must be identical to it.',
        remedy: 'Set issuer to the value of the metadata.',
      })
    case 'ERR_OIDC_PROVIDER_UNAVAILABLE':
      return failure('provider.unavailable', `${error.message}: ${url}.`, {
        cause,
        remedy: 'Check the address, the firewall, and whether this machine needs a proxy (option fetch).',
      })
    case 'ERR_OIDC_UNSUPPORTED':
      return failure('provider.unsupported', `${error.message}.`, { cause })
    case 'ERR_OIDC_OPTIONS':
      return failure('options.refused', `${error.message}.`, { cause })
    default:
      return failure('provider.metadata', `${error.message}: ${url}.`, {
        cause,
        remedy:
          'Open this address: it has to show the metadata of the provider as JSON. If they are elsewhere, set metadataUrl.',
      })
  }
}

/** The details of an error, which hold nothing secret. */
export function describeCause({ cause, providerError }: OidcError): string | undefined {
  const said = providerError && [providerError.error, providerError.error_description].filter(Boolean).join(': ')
  const details = isRecord(cause) && !(cause instanceof Error) ? JSON.stringify(cause) : undefined
  return said ? `The provider said ${said}.` : details
}
