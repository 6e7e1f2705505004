import type { Sealer } from './seal.js'
import type { RecordStore } from './store.js'

/**
 * The store as one of several hosts of a site has it. A session whose ticket is that of another host is none here, and what another host has given to a browser, such as
 * a cookie or a `state`, cannot be opened. Lists of sessions, and what ends the sessions of a user, are those of all hosts.
 *
 * @param baseUrl - of the host
 */
export function storeAtHost(store: RecordStore, baseUrl: string): RecordStore {
  return {
    ...store,
    sealer: sealerAtHost(store.sealer, baseUrl),
    sessions: store.sessionsWith(baseUrl.startsWith('https:')),
    async load(id, options) {
      const record = await store.load(id, options)
      const ticket = record?.ticket()
      return ticket === undefined || ticket.baseUrl === baseUrl ? record : undefined
    },
  }
}

/** What is in the records is sealed by the store itself; this one seals what browsers get. */
function sealerAtHost(sealer: Sealer, baseUrl: string): Sealer {
  const within = (context: string) => `${baseUrl} ${context}`
  return {
    ...sealer,
    seal: (purpose, context, plaintext) => sealer.seal(purpose, within(context), plaintext),
    open: (purpose, context, sealed) => sealer.open(purpose, within(context), sealed),
    openAgain: (purpose, context, sealed) => sealer.openAgain(purpose, within(context), sealed),
    forget: id => sealer.forget(within(id)),
    signId: id => sealer.signId(id, within('')),
    verifyId: text => sealer.verifyId(text, within('')),
  }
}
