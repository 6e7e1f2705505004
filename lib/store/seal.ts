import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { OidcError } from '../errors.js'
import { Recent } from './bounded-map.js'

/** What a sealed value is for. A value sealed for one purpose cannot be opened for another. */
export type SealPurpose =
  | 'transaction'
  | 'binding'
  | 'logout'
  | 'session'
  | 'ticket'
  | 'tokens'
  | 'client'
  | 'summary'
  | 'successor'
  | 'browser'
  | 'device'
  | 'proof'
  | 'form'

type ReadByEveryRequest = 'ticket' | 'session'

/** HMAC-SHA256 under one key. */
type Hmac = (message: string) => Buffer

/** Authenticated encryption at rest and in cookies, and the MACs that go with it. All of it hangs on the site's `secret`. */
export interface Sealer {
  /** Encrypts under the newest secret. `context` (a session id, a state) selects the key and is needed again to open. */
  seal(purpose: SealPurpose, context: string, plaintext: string | Buffer): Buffer
  /** `undefined` for anything this sealer did not make for this purpose and context. Never throws. */
  open(purpose: SealPurpose, context: string, sealed: Buffer): Buffer | undefined
  /** The same as text, for what every request of a session reads: bytes that were opened before are not decrypted again. */
  openAgain(purpose: ReadByEveryRequest, id: string, sealed: Buffer): string | undefined
  /** Leaves nothing at hand that belongs to a session: it has ended. */
  forget(id: string): void
  /** `id.mac`, for a cookie. The `context` is needed again to verify it. */
  signId(id: string, context?: string): string
  /** The id of what {@link signId} made under any of the secrets. */
  verifyId(text: string, context?: string): string | undefined
  /** Names that say nothing about `value`, one per secret, that of the newest secret first. */
  maskName(value: string): readonly string[]
}

const VERSION = 1
const KEY_ID_BYTES = 4
const IV_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + KEY_ID_BYTES
const CIPHER = 'aes-256-gcm'
const LONGEST_SIGNED_ID = 512
/** Sessions whose derived key, checked cookie and opened text are at hand. A constant, some kilobytes for each. */
const RECENT = 1000
/** Bytes of a sealed value up to which its text is kept at hand. */
const LONGEST_KEPT = 8192

/**
 * Sealed values are `version 1 | key id 4 | iv 12 | ciphertext | tag 16` bytes. AES-256-GCM under a key of its own for every record,
 * or else for every purpose and context (HKDF-SHA256, RFC 5869); purpose and context are authenticated. The newest secret writes, all
 * of them read.
 * @param secrets newest first
 * @param realm - what is sealed in one realm cannot be opened in another, though the secret is the same
 * @throws {OidcError} ERR_OIDC_OPTIONS when there is no secret
 */
export function createSealer(secrets: readonly string[], realm = ''): Sealer {
  const rings = secrets.map(secret => createKeyRing(secret, realm))
  const newest = rings[0]
  if (newest === undefined || secrets.includes('')) throw new OidcError('ERR_OIDC_OPTIONS', 'a secret is required')
  /** Only what carried the right MAC. */
  const verified = new Recent<string>(RECENT)
  const opened = { ticket: new Recent<Opened>(RECENT), session: new Recent<Opened>(RECENT) }

  function open(purpose: SealPurpose, context: string, sealed: Buffer): Buffer | undefined {
    for (const ring of rings) {
      const plaintext = openWith(ring, purpose, context, sealed)
      if (plaintext !== undefined) return plaintext
    }
    return undefined
  }

  return {
    seal: (purpose, context, plaintext) => sealWith(newest, purpose, context, plaintext),
    open,
    openAgain(purpose, id, sealed) {
      const known = opened[purpose].get(id)
      if (known?.sealed.equals(sealed)) return known.text
      const text = open(purpose, id, sealed)?.toString()
      // A copy: what a client of Redis hands out is part of all that came with it.
      if (text !== undefined && sealed.length <= LONGEST_KEPT)
        opened[purpose].keep(id, { sealed: Buffer.from(sealed), text })
      return text
    },
    forget(id) {
      for (const known of [opened.ticket, opened.session, ...rings.map(ring => ring.recordKeys)]) known.forget(id)
    },
    signId: (id, context = '') => `${id}.${macOf(newest, 'cookie', context + id)}`,
    verifyId(text, context = '') {
      const known = verified.get(context + text)
      if (known !== undefined) return known
      const end = text.length > LONGEST_SIGNED_ID ? -1 : text.lastIndexOf('.')
      if (end <= 0) return undefined
      const id = text.slice(0, end)
      const mac = Buffer.from(text.slice(end + 1))
      const isOurs = rings.some(ring => isEqual(mac, Buffer.from(macOf(ring, 'cookie', context + id))))
      return isOurs ? verified.keep(context + text, id) : undefined
    },
    maskName: value => rings.map(ring => macOf(ring, 'name', value)),
  }
}

/** What was opened, and from which bytes. */
interface Opened {
  readonly sealed: Buffer
  readonly text: string
}

type KeyPurpose = SealPurpose | 'record' | 'cookie' | 'name'

/** What lies in one record is sealed under one key; what it is for is in the associated data. */
const IN_RECORD: ReadonlySet<SealPurpose> = new Set(['ticket', 'tokens', 'session', 'device'])
/** What always has the same few contexts, one for each host and provider. */
const OF_SITE: ReadonlySet<SealPurpose> = new Set(['binding'])

interface KeyRing {
  /** Version byte and key id, the first bytes of everything sealed under this secret. */
  readonly head: Buffer
  rootOf(purpose: KeyPurpose): Hmac
  /** Keys of the records that were opened last: the pages and scripts of one person come together. */
  readonly recordKeys: Recent<Buffer | KeyObject>
  readonly siteKeys: Recent<Buffer | KeyObject>
}

/** HKDF-Extract, once per secret and purpose. */
function createKeyRing(secret: string, realm: string): KeyRing {
  const roots = new Map<KeyPurpose, Hmac>()
  const suffix = realm === '' ? '' : `\n${realm}`
  const extract = (label: string) => createHmacSha256(Buffer.from(`express-hybrid-oidc ${label}${suffix}`))(secret)
  return {
    head: Buffer.concat([Buffer.of(VERSION), extract('key id').subarray(0, KEY_ID_BYTES)]),
    recordKeys: new Recent(RECENT),
    siteKeys: new Recent(RECENT),
    rootOf(purpose) {
      const known = roots.get(purpose)
      if (known !== undefined) return known
      const root = createHmacSha256(extract(purpose))
      roots.set(purpose, root)
      return root
    },
  }
}

/** HKDF-Expand for 32 bytes is one HMAC: `info | 0x01`. */
function keyFor(ring: KeyRing, purpose: SealPurpose, context: string): Buffer | KeyObject {
  const expand = (root: KeyPurpose) => cipherKey(ring.rootOf(root)(`${context}\x01`))
  if (OF_SITE.has(purpose)) return ring.siteKeys.get(context) ?? ring.siteKeys.keep(context, expand(purpose))
  if (!IN_RECORD.has(purpose)) return expand(purpose)
  return ring.recordKeys.get(context) ?? ring.recordKeys.keep(context, expand('record'))
}

function associatedData(purpose: SealPurpose, context: string): Buffer {
  return Buffer.from(`${VERSION} ${purpose} ${context}`)
}

function sealWith(ring: KeyRing, purpose: SealPurpose, context: string, plaintext: string | Buffer): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, keyFor(ring, purpose, context), iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData(purpose, context))
  const body = typeof plaintext === 'string' ? cipher.update(plaintext, 'utf8') : cipher.update(plaintext)
  return Buffer.concat([ring.head, iv, body, cipher.final(), cipher.getAuthTag()])
}

function openWith(ring: KeyRing, purpose: SealPurpose, context: string, sealed: Buffer): Buffer | undefined {
  if (sealed.length < HEAD_BYTES + IV_BYTES + TAG_BYTES) return undefined
  if (ring.head.compare(sealed, 0, HEAD_BYTES) !== 0) return undefined
  const bodyAt = HEAD_BYTES + IV_BYTES
  const tagAt = sealed.length - TAG_BYTES
  const key = keyFor(ring, purpose, context)
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(HEAD_BYTES, bodyAt), { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData(purpose, context))
  decipher.setAuthTag(sealed.subarray(tagAt))
  const body = decipher.update(sealed.subarray(bodyAt, tagAt))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return body
}

function macOf(ring: KeyRing, purpose: 'cookie' | 'name', value: string): string {
  return ring.rootOf(purpose)(value).toString('base64url')
}

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Node 24 looks at the bytes of a key for 10 us at every use. Elsewhere a `KeyObject` for each key costs more than it saves. */
const isSlowWithBytes = process.versions.node.startsWith('24.')

function cipherKey(bytes: Buffer): Buffer | KeyObject {
  return isSlowWithBytes ? createSecretKey(bytes) : bytes
}

function createHmacSha256(bytes: Buffer): Hmac {
  const key = createSecretKey(bytes)
  return message => createHmac('sha256', key).update(message).digest()
}
