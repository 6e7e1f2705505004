import { createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { OidcError } from '../errors.js'
import { askSite, shareCalls } from './client-key.js'

/** The certificate this site shows in TLS, and its key. RFC 8705. */
export interface ClientCertificate {
  /** The certificate and those between it and the CA, as PEM. */
  readonly cert: string | Buffer
  /** The private key, as PEM. An RSA key has 2048 bits or more. */
  readonly key: string | Buffer
  /** Certificates of the CAs that may vouch for the servers, as PEM. Default: those Node trusts. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** Opens the key. */
  readonly passphrase?: string | undefined
}

/** The certificate of today: asked for with every request, so that a renewed one is used without a restart. */
export type CertificateSource = () => Promise<TlsOptions>

/** As `node:https` takes it. Connections are kept apart by it. */
export interface TlsOptions {
  readonly cert: string | Buffer
  readonly key: string | Buffer
  readonly ca?: (string | Buffer)[]
  readonly passphrase?: string
}

/**
 * A certificate that has been looked at once is taken as it is after that.
 *
 * @param timeout - milliseconds that a function may take
 * @throws {OidcError} ERR_OIDC_OPTIONS at once for a certificate that cannot be used; for a function, when it has returned one
 */
export function createCertificateSource(
  given: ClientCertificate | (() => ClientCertificate | Promise<ClientCertificate>),
  timeout: number,
): CertificateSource {
  let known: { readonly certificate: ClientCertificate; readonly options: TlsOptions } | undefined
  const read = (certificate: ClientCertificate): TlsOptions => {
    const copy = copyCertificate(certificate)
    const isKnown = known !== undefined && PARTS.every(part => known?.certificate[part] === copy[part])
    if (known === undefined || !isKnown) known = { certificate: copy, options: checkCertificate(copy) }
    return known.options
  }
  if (typeof given !== 'function') {
    const options = read(given)
    return async () => options
  }
  return shareCalls(async () => read(await askSite('mtls', given, timeout)))
}

/** Bits. */
const SHORTEST_RSA_KEY = 2048

const PARTS = ['cert', 'key', 'ca', 'passphrase'] as const

/** Each part is read once: a getter of the site may throw, or say something else the next time. */
function copyCertificate(certificate: ClientCertificate): ClientCertificate {
  try {
    const { cert, key, ca, passphrase } = certificate
    return { cert, key, ...(ca !== undefined && { ca }), ...(passphrase !== undefined && { passphrase }) }
  } catch {
    throw unusable('unknown')
  }
}

function checkCertificate({ cert, key, ca, passphrase }: ClientCertificate): TlsOptions {
  try {
    const options = {
      cert,
      key,
      ...(ca !== undefined && { ca: [ca].flat() as (string | Buffer)[] }),
      ...(passphrase !== undefined && { passphrase }),
    }
    if (!isPem(cert) || !isPem(key)) throw new TypeError('no PEM')
    checkKeyLength(options)
    createSecureContext(options)
    return options
  } catch (error) {
    if (error instanceof OidcError) throw error
    // The message of OpenSSL names the library and the reason, and nothing of the key.
    const { code } = Object(error) as { code?: unknown }
    throw unusable(typeof code === 'string' ? code : 'unknown')
  }
}

/** Checked first, because newer versions of OpenSSL refuse such a key without a word about its length. FAPI 2.0 Security Profile section 5.4.1. */
function checkKeyLength({ key, passphrase }: Pick<TlsOptions, 'key' | 'passphrase'>): void {
  const { asymmetricKeyDetails } = createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) })
  const { modulusLength: bits = SHORTEST_RSA_KEY } = asymmetricKeyDetails ?? {}
  if (bits >= SHORTEST_RSA_KEY) return
  const message = `mtls needs an RSA key of at least ${SHORTEST_RSA_KEY} bits, or one of an elliptic curve, and its key has ${bits} bits`
  throw new OidcError('ERR_OIDC_OPTIONS', message)
}

function unusable(reason: string): OidcError {
  const message = 'mtls needs a cert and a key that belong together, as PEM, and the passphrase if the key has one'
  return new OidcError('ERR_OIDC_OPTIONS', message, { cause: { reason } })
}

function isPem(value: unknown): boolean {
  return (typeof value === 'string' || Buffer.isBuffer(value)) && value.includes('-----BEGIN ')
}
