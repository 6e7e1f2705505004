// The order matters: almost every browser also names itself after another one.
const browsers = [
  ['Edg', 'Edge'],
  ['OPR', 'Opera'],
  ['Firefox', 'Firefox'],
  ['Chrome', 'Chrome'],
  ['Version', 'Safari'],
] as const
const systems = [
  ['Android', 'Android'],
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['CrOS', 'ChromeOS'],
  ['Windows', 'Windows'],
  ['Mac OS X', 'macOS'],
  ['Linux', 'Linux'],
] as const

/** `Firefox 152 on Windows`: enough for users to recognise their own browser. A client can claim to be any browser. */
export function describeBrowser(userAgent: string | undefined): string {
  if (userAgent === undefined) return 'Unknown browser'
  const [token, browser] = browsers.find(([name]) => userAgent.includes(`${name}/`)) ?? []
  const version = token === undefined ? undefined : new RegExp(`${token}/(\\d+)`).exec(userAgent)?.[1]
  const [, system] = systems.find(([name]) => userAgent.includes(name)) ?? []
  const name = [browser ?? 'Another browser', version].filter(part => part !== undefined).join(' ')
  return system === undefined ? name : `${name} on ${system}`
}
