import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface SelfSignedOptions {
  /** Default `localhost`, together with 127.0.0.1. */
  readonly host?: string
  /** Default 2020. */
  readonly notBefore?: string
  /** Default 2099. */
  readonly notAfter?: string
  /** Bits of an RSA key. Left out: the key is one of P-256. */
  readonly rsa?: number
}

/** An untrusted certificate for localhost, made of bytes: Node can read X.509 but not write it. RFC 5280 section 4.1. */
export function createSelfSigned({
  host = 'localhost',
  notBefore = '20200101000000Z',
  notAfter = '20991231235959Z',
  rsa,
}: SelfSignedOptions = {}): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } =
    rsa === undefined
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: rsa })
  // ecdsa-with-SHA256, or sha256WithRSAEncryption
  const algorithm =
    rsa === undefined
      ? sequence(oid('2a8648ce3d040302'))
      : sequence(oid('2a864886f70d01010b'), tagged(0x05, Buffer.alloc(0)))
  const name = sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(host)))))
  const validity = sequence(time(notBefore), time(notAfter))
  const alternatives = sequence(
    tagged(0x82, Buffer.from(host)),
    ...(host === 'localhost' ? [tagged(0x87, Buffer.of(127, 0, 0, 1))] : []),
  )
  const extensions = tagged(0xa3, sequence(sequence(oid('551d11'), tagged(0x04, alternatives))))
  const version = tagged(0xa0, tagged(0x02, Buffer.of(2)))
  const serial = tagged(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)]))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = sequence(version, serial, algorithm, name, validity, name, spki, extensions)
  const signature = tagged(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)]))
  const cert = sequence(body, algorithm, signature).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  }
}

/** DER: type, length, content. */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

function time(text: string): Buffer {
  return tagged(0x18, Buffer.from(text))
}
