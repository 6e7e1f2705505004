/**
 * What an event means for the sessions of its subject. `end`: they end. `reauthenticate`: the user has to authenticate again before the next
 * guarded page. `sign-in`: the next guarded page asks the provider again, which need not ask the user. `none`: nothing.
 */
export type SignalAction = 'end' | 'reauthenticate' | 'sign-in' | 'none'

/** OpenID Continuous Access Evaluation Profile 1.0 section 3. */
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
/** OpenID RISC Profile 1.0 section 2. */
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
/** Google's Cross-Account Protection. */
const OAUTH = 'https://schemas.openid.net/secevent/oauth/event-type/'

const ENDS: ReadonlySet<string> = new Set([
  `${CAEP}session-revoked`,
  `${RISC}sessions-revoked`,
  `${RISC}account-disabled`,
  `${RISC}account-purged`,
  `${RISC}account-credential-change-required`,
  `${RISC}credential-compromise`,
  `${OAUTH}tokens-revoked`,
])

const CREDENTIAL_CHANGE = `${CAEP}credential-change`
const CLAIMS_CHANGE = `${CAEP}token-claims-change`
const LEVEL_CHANGE = `${CAEP}assurance-level-change`

/** The default for an event. A level that rises needs nothing; one that does not say in which direction it changed may have fallen. */
export function actionFor(type: string, payload: Readonly<Record<string, unknown>>): SignalAction {
  if (ENDS.has(type)) return 'end'
  if (type === LEVEL_CHANGE) return payload.change_direction === 'increase' ? 'none' : 'reauthenticate'
  if (type === CLAIMS_CHANGE) return 'sign-in'
  return type === CREDENTIAL_CHANGE ? 'reauthenticate' : 'none'
}
