import { SessionStore, type SessionStoreSettings } from './session-store.js'

/**
 * The stores behind `req.session`, each made when it is needed: `req.session.cookie.secure` is another at hosts with https and at those without.
 *
 * @param settings - `cookie` as it is at a host with https; left out: sessions have no cookie of ours
 */
export function createSessionStores(settings: SessionStoreSettings): (secure: boolean) => SessionStore {
  const { cookie } = settings
  const stores = new Map<boolean, SessionStore>()
  return secure => {
    const store =
      stores.get(secure) ?? new SessionStore({ ...settings, ...(cookie && { cookie: { ...cookie, secure } }) })
    stores.set(secure, store)
    return store
  }
}
