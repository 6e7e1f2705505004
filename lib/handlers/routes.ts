import { callback } from './callback.js'
import { login } from './login.js'
import { logout, logoutCallback } from './logout.js'
import type { Routes } from './site.js'
import type { Visit } from './visit.js'

type Route = (visit: Visit) => Promise<void>

const handlers: Readonly<Record<keyof Routes, Route>> = { login, callback, logout, logoutCallback }

/** Path to handler. A plain map: the few paths of ours need no patterns, and a request for another page costs one lookup. */
export function createRouteTable(routes: Routes): ReadonlyMap<string, Route> {
  const entries = Object.entries(routes) as [keyof Routes, string | false][]
  return new Map(entries.flatMap(([name, path]) => (path === false ? [] : [[path, handlers[name]] as const])))
}
