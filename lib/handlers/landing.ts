import { parseReturnTo } from '../protocol/return-to.js'
import { publicPath, type Site } from './site.js'

/**
 * Where a person may land after a sign-in or a sign-out: a page of this site, and none of our own routes, which are stations on the
 * way and no place to stay. Everything else is the start page of the site.
 */
export function landingOf(site: Site, wanted: unknown): string {
  return parseLanding(site, wanted) ?? publicPath(site, '/')
}

/** The same, for a caller that has another idea than the start page. */
export function parseLanding(site: Site, wanted: unknown): string | undefined {
  const path = parseReturnTo(wanted, site.baseUrl)
  return path === undefined || isOurs(site, path) ? undefined : path
}

function isOurs(site: Site, path: string): boolean {
  const { pathname } = new URL(path, site.baseUrl)
  return Object.values(site.routes).some(route => route !== false && publicPath(site, route) === pathname)
}
