import { createLocalJWKSet, jwtVerify } from 'jose'
import type { RecordedRequest } from '../hostile-faults.js'
import { addressOf, type Setting, secondsOf } from './setting.js'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const TYP = 'client-authentication+jwt'

/** Whether the request comes from the client. Where it does not, the log says why. */
export async function isClient(setting: Setting, { headers, form }: RecordedRequest): Promise<boolean> {
  const { traits, clientId, clientSecret, log } = setting
  if (form.client_assertion_type === ASSERTION_TYPE) {
    const reason = await findAssertionFault(setting, form.client_assertion ?? '')
    if (reason !== undefined) log.push(`client assertion: ${reason}`)
    return reason === undefined
  }
  const decode = (text: string) => (traits.clients.decodesBasic ? decodeForm(text) : text)
  const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')?.[1]
  const pair = Buffer.from(basic ?? '', 'base64').toString()
  const at = pair.indexOf(':')
  const [id, secret] =
    basic === undefined ? [form.client_id, form.client_secret] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))]
  if (id === clientId && secret === clientSecret) return true
  log.push('wrong client secret')
  return false
}

function decodeForm(text: string): string {
  return new URLSearchParams(`v=${text}`).get('v') ?? ''
}

async function findAssertionFault(setting: Setting, assertion: string): Promise<string | undefined> {
  const { traits, clientId, clientJwks, book, issuer } = setting
  const { audiences, typ, remembersIds } = traits.clients.assertion
  const keys = createLocalJWKSet({ keys: [...clientJwks] })
  const verified = await jwtVerify(assertion, keys, {
    issuer: clientId,
    subject: clientId,
    requiredClaims: ['exp', 'jti'],
    currentDate: new Date(secondsOf(setting) * 1000),
  }).catch(() => undefined)
  if (verified === undefined) return 'signature, issuer, subject or time'
  const { payload, protectedHeader } = verified
  const isTyped = protectedHeader.typ === TYP
  if (typ === 'required' && !isTyped) return 'typ is missing'
  const accepted = typ === 'strict' && isTyped ? ['issuer' as const] : audiences
  const names = accepted.map(name => (name === 'issuer' ? issuer : addressOf(setting, 'token')))
  if (typeof payload.aud !== 'string' || !names.includes(payload.aud)) return 'audience'
  if (remembersIds && book.usedAssertions.has(payload.jti ?? '')) return 'jti was used before'
  book.usedAssertions.add(payload.jti ?? '')
  return undefined
}
