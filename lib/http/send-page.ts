import { randomBytes } from 'node:crypto'
import type {
  ErrorPageContent,
  KeptFormPageContent,
  PageContent,
  Pages,
  SignOutPageContent,
  UnsentFormPageContent,
} from '../options/pages.js'
import { describeValue } from '../validation/describe-value.js'
import { buildPage, escapeHtml, type PagePolicy, pagePolicy } from './page.js'
import type { RequestContext } from './request-context.js'

/** Which page, and what it has to say. */
interface PageContents {
  error: ErrorPageContent
  signOut: SignOutPageContent
  signedOut: PageContent
  keptForm: KeptFormPageContent
  unsentForm: UnsentFormPageContent
}

/** How a page is displayed. */
interface Presentation<Content> {
  readonly policy?: PagePolicy
  /** Makes the page of a site that has made none. */
  readonly buildPlain?: (page: Content) => string
}

/** The random part of a page's nonce, in bytes. CSP Level 3 section 8.1 wants 128 bits at least. */
const NONCE_BYTES = 16

/**
 * Shows a page: that of the site, where it has made one, else a plain one. One of the site's that fails is a line in the log. Whatever it returns, no
 * script runs in it, and its styles and images are those of the site.
 */
export function sendPage<K extends keyof PageContents>(
  { res, services }: RequestContext,
  name: K,
  content: Omit<PageContents[K], 'nonce' | 'dir'>,
  { policy = {}, buildPlain = buildPlainPage }: Presentation<PageContents[K]> = {},
): void {
  const { config, rareLog } = services
  const page = {
    ...content,
    dir: 'ltr',
    nonce: randomBytes(NONCE_BYTES).toString('base64'),
  } as unknown as PageContents[K]
  const own = buildOwnPage(config.pages, name, page, what =>
    rareLog(`pages.${name}`, `pages.${name} ${what}: a plain page was shown`),
  )
  const { nonce } = page
  res.setHeader('Content-Security-Policy', pagePolicy(own === undefined ? policy : { ...policy, nonce }))
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(own ?? buildPlain(page))
}

/** @returns `undefined` where the site has none, or where it has failed */
function buildOwnPage<K extends keyof PageContents>(
  pages: Pages,
  name: K,
  page: PageContents[K],
  report: (what: string) => void,
): string | undefined {
  const build = pages[name] as ((page: PageContents[K]) => unknown) | undefined
  if (build === undefined) return undefined
  try {
    Object.freeze(page)
    const html = build(page)
    if (typeof html === 'string' && html !== '') return html
    // A promise that is rejected would end the process.
    if (html instanceof Promise) html.catch(() => {})
    report(`must return a string that is not empty, but it returned ${describeValue(html)}`)
  } catch (error) {
    report(`failed (${error instanceof Error ? error.name : typeof error})`)
  }
  return undefined
}

/** A message, one button where there is a form, and a link. */
export function buildPlainPage(page: PageContent): string {
  const { language, title, message, link, form, report } = page as PageContent &
    Partial<ErrorPageContent & SignOutPageContent>
  const target = link.target === undefined ? '' : ` target="${link.target}"`
  const parts = [
    `<p>${escapeHtml(message)}</p>`,
    form &&
      `<form method="post" action="${escapeHtml(form.action)}"><button type="submit">${escapeHtml(form.button)}</button></form>`,
    `<a href="${escapeHtml(link.href)}"${target}>${escapeHtml(link.text)}</a>`,
    report && `<small>${escapeHtml(report)}</small>`,
  ]
  return buildPage({ language, title, body: parts.filter(part => part !== undefined).join('\n') })
}
