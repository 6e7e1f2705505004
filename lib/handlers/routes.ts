import { logoutBackchannel } from './backchannel-logout.js'
import { callback } from './callback.js'
import { logoutFrontchannel } from './frontchannel-logout.js'
import { login } from './login.js'
import { logout } from './logout.js'
import { logoutCallback } from './logout-return.js'
import { token, user } from './mixed-mode.js'
import { checkSession } from './session-management.js'
import type { Routes } from './site.js'
import type { Visit } from './visit.js'

type Route = (visit: Visit) => Promise<void>

const handlers: Readonly<Record<keyof Routes, Route>> = {
  login,
  callback,
  logout,
  logoutCallback,
  logoutFrontchannel,
  logoutBackchannel,
  checkSession,
  user,
  token,
}

/** Path to handler. A plain map: the few paths of ours need no patterns, and a request for another page costs one lookup. */
export function createRouteTable(routes: Routes): ReadonlyMap<string, Route> {
  const entries = Object.entries(routes) as [keyof Routes, string | false][]
  return new Map(entries.flatMap(([name, path]) => (path === false ? [] : [[path, handlers[name]] as const])))
}

/** Paths that the provider asks for: no cookie of the browser has a say there, so no session is loaded. */
export function providerPaths({ logoutFrontchannel, logoutBackchannel }: Routes): ReadonlySet<string> {
  return new Set([logoutFrontchannel, logoutBackchannel].filter(path => path !== false))
}
