import { OidcError } from '../errors.js'
import type { BrowserBinding, FoundBinding } from '../http/transaction-cookie.js'
import type { Transaction } from '../protocol/transaction.js'

/** Finds the attempt that a response belongs to and checks its browser; the error says what is missing. */
export function identify(transaction: Transaction | undefined, found: FoundBinding): [Transaction, BrowserBinding] {
  if (transaction !== undefined && typeof found === 'object') return [transaction, found]
  throw new OidcError('ERR_OIDC_TRANSACTION_MISSING', describeMissing(transaction, found))
}

const SECRETS = 'give all processes of the site the same "secret", and keep an old one in the list while you replace it'

function describeMissing(transaction: Transaction | undefined, found: FoundBinding): string {
  if (transaction === undefined && found === 'unreadable') {
    return `neither "state" nor the cookie can be opened: they were made with another "secret", or by another site; ${SECRETS}`
  }
  if (transaction === undefined) {
    return `"state" cannot be opened: it is not of this site, it was changed, or it was made with another "secret"; ${SECRETS}`
  }
  if (found === 'unreadable')
    return `the cookie of this sign-in cannot be opened: it was made with another "secret"; ${SECRETS}`
  return 'the cookie that binds a sign-in to its browser is missing: the response came to another browser, or to one that does not keep the cookies of this site'
}
