const PREFIXES = [
  ...[
    '',
    '/',
    '//',
    '///',
    '////',
    '/\\',
    '\\/',
    '\\\\',
    '/%09/',
    '/\t/',
    '/\n/',
    '/\r/',
    '/\v/',
    '/\f/',
    '/ /',
    '/\u00a0/',
    '/\u0085/',
  ],
  ...[
    '/\u2028/',
    '/\u2029/',
    '/./',
    '/.//',
    '/..//',
    '/..;/',
    '/x/..//',
    '\t//',
    ' //',
    '\u0001//',
    '/\ufeff/',
    '/\u3000/',
    '?//',
    '#//',
  ],
  ...[
    'https:',
    'https:/',
    'https://',
    'https:///',
    'http:',
    'http:\\\\',
    'hTTps://',
    'ht\ttps://',
    '//user:pw@',
    'javascript:',
    'javascript://',
  ],
  ...[
    'java\nscript:',
    '\u0001javascript:',
    'data:text/html,',
    'vbscript:',
    'blob:http://',
    'filesystem:http://',
    'view-source:',
    'ftp://',
    'ws://',
    'about:',
  ],
]
const SUFFIXES = ['', '/%2f..', '/..', '//', '%00', '?', '#']

type Encode = (text: string) => string

const once: Encode = encodeURIComponent
const ENCODINGS: readonly Encode[] = [
  // Raw, as far as a request line can carry it.
  text => encodeURI(text).replace(/[#&+]/g, encodeURIComponent),
  once,
  text => once(once(text)),
  text => once(text).replace(/%[0-9A-F]{2}/g, (code, at: number) => (at % 2 ? code.toLowerCase() : code)),
  // Overlong UTF-8 for slash and backslash.
  text => once(text).replaceAll('%2F', '%c0%af').replaceAll('%5C', '%c1%9c'),
]

/** Ways to name another host, of which each has once been taken for a path or for the own host. */
function hosts(own: string, evil: string): string[] {
  const name = own.split(':')[0] ?? ''
  return [
    ...[
      evil,
      `${own}@${evil}`,
      `${own}.${evil}`,
      `evil-${own}`,
      `${name}.evil.example`,
      `evil%E3%80%82com`,
      'evil。com',
      'evil．com',
    ],
    ...[
      '[::ffff:127.0.0.1]',
      '0x7f.1',
      '2130706433',
      '127.1',
      `${own}%40${evil}`,
      `${evil}#${own}`,
      `${evil}?${own}`,
      `${evil}\\@${own}`,
    ],
    ...[`${own}\\@${evil}`, `${name}:444`, `${own}.`, 'xn--evil-x', `${own}%00.${evil}`, `${own}/${evil}`],
  ]
}

/** Values for a return address, encoded for a query. */
export function redirectGrammar(own: string, evil: string): string[] {
  const payloads = new Set<string>()
  let turn = 0
  for (const prefix of PREFIXES) {
    for (const host of hosts(own, evil)) {
      // Every prefix with every host, raw and encoded; suffixes and encodings take turns, or there would be 25 000.
      const picks = [ENCODINGS[0], ENCODINGS[1 + (turn % 4)]]
      for (const encode of picks) payloads.add(encode?.(prefix + host + SUFFIXES[turn % SUFFIXES.length]) ?? '')
      turn += 1
    }
  }
  return [...payloads]
}
