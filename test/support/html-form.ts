export interface HtmlForm {
  /** Absolute. */
  readonly action: string
  readonly method: 'GET' | 'POST'
  /** In document order, as a browser would send them without a button being pressed. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Whether the page submits it by script, without an action of the user. */
  readonly isAutomatic: boolean
}

/** The forms of a page. Enough for the pages of a sign-in; not an HTML parser. */
export function parseForms(html: string, pageUrl: string): HtmlForm[] {
  const text = html.replace(/<!--[\s\S]*?-->/g, '')
  const isAutomatic = /\.submit\s*\(/.test(text)
  return [...text.matchAll(/<form\b((?:"[^"]*"|'[^']*'|[^>"'])*)>([\s\S]*?)<\/form>/gi)].map(
    ([, head = '', body = '']) => {
      const { action = '', method = 'get' } = parseAttributes(head)
      return {
        action: new URL(action, pageUrl).href,
        method: method.toLowerCase() === 'post' ? 'POST' : 'GET',
        fields: parseFields(body),
        isAutomatic,
      }
    },
  )
}

/** The address that a page opens at once in place of itself: HTML section 4.2.5.3. */
export function parseRefresh(html: string, pageUrl: string): string | undefined {
  const [head] = html.match(/<meta http-equiv="refresh"[^>]*>/i) ?? []
  const [, target] = /^0;\s*url=(.*)$/i.exec(parseAttributes(head ?? '').content ?? '') ?? []
  return target === undefined ? undefined : new URL(target, pageUrl).href
}

function parseFields(html: string): [string, string][] {
  return [...html.matchAll(/<input\b((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi)].flatMap(([, attributes = '']) => {
    const { name, value = '', type = 'text', checked } = parseAttributes(attributes)
    const isButton = /^(submit|button|image|reset)$/i.test(type)
    const isOff = /^(checkbox|radio)$/i.test(type) && checked === undefined
    return name === undefined || isButton || isOff ? [] : [[name, value] as [string, string]]
  })
}

function parseAttributes(text: string): Record<string, string | undefined> {
  const attributes: Record<string, string> = {}
  for (const match of text.matchAll(/([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)) {
    const [, name = '', doubled, single, bare] = match
    attributes[name.toLowerCase()] ??= decodeEntities(doubled ?? single ?? bare ?? '')
  }
  return attributes
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
      if (decimal) return String.fromCodePoint(Number(decimal))
      return NAMED[name?.toLowerCase() ?? ''] ?? whole
    },
  )
}
