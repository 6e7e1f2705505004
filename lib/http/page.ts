import { createHash } from 'node:crypto'

const style = `
:root { color-scheme: light dark }
body { font: 1.05rem/1.6 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { max-width: 34rem; padding: 2rem }
h1 { font-size: 1.4rem; margin: 0 0 .5rem }
a, button { display: inline-block; margin: 1rem 1rem 0 0; font: inherit }
button { padding: .4rem 1.2rem }
dt { font-weight: 600 }
dd { margin: 0 0 .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
small { display: block; margin-top: 2rem; opacity: .7 }
`

const styleHash = createHash('sha256').update(style).digest('base64')

export interface PagePolicy {
  /** Where a form may go, redirects included, to which browsers apply `form-action` as well. Default: nowhere. */
  readonly formAction?: string
  /** SHA-256, in base64, of the one script that may run. Default: none. */
  readonly scriptHash?: string
  /** Of a page that the site has made: its style sheets, images and fonts are those of the site. Default: a page of ours. */
  readonly nonce?: string
  /** Who may show the page in a frame. Default: no page. */
  readonly frameAncestors?: string
}

/** Content-Security-Policy of our pages: their own style, nothing else, and no framing. */
export function pagePolicy({
  formAction = "'none'",
  scriptHash,
  nonce,
  frameAncestors = "'none'",
}: PagePolicy = {}): string {
  const scripts = scriptHash === undefined ? '' : ` script-src 'sha256-${scriptHash}';`
  const styles =
    nonce === undefined
      ? `style-src 'sha256-${styleHash}'`
      : `style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'`
  return `default-src 'none';${scripts} ${styles}; base-uri 'none'; form-action ${formAction}; frame-ancestors ${frameAncestors}`
}

interface BuiltPage {
  /** BCP 47. All languages that there are run from left to right. */
  readonly language: string
  readonly title: string
  /** HTML made of our own text and escaped values. */
  readonly body: string
  /** Address that the browser opens at once in place of the page. Default: none. HTML section 4.2.5.3. */
  readonly refresh?: string
}

/** The few plain pages this package shows by itself. */
export function buildPage({ language, title, body, refresh }: BuiltPage): string {
  const next = refresh === undefined ? '' : `\n<meta http-equiv="refresh" content="0;url=${escapeHtml(refresh)}">`
  return `<!doctype html>
<html lang="${language}" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">${next}
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
