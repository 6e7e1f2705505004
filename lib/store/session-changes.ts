/** Top-level keys of session data with their new value as JSON; `undefined` for a key that went away. */
export type SessionChanges = ReadonlyMap<string, string | undefined>

/** The JSON of session data, without the cookie: that one belongs to the site's configuration and not to the session. */
export function formatSession(session: object): string {
  const { cookie: _, ...data } = session as Readonly<Record<string, unknown>>
  return JSON.stringify(data)
}

/** What turns the session data `before` into `after`. */
export function diffSessions(before: string, after: string): SessionChanges {
  const changes = new Map<string, string | undefined>()
  if (before === after) return changes
  const old = valuesOf(before)
  const current = valuesOf(after)
  for (const [key, value] of current) if (old.get(key) !== value) changes.set(key, value)
  for (const key of old.keys()) if (!current.has(key)) changes.set(key, undefined)
  return changes
}

/** Session data with `changes` applied, and everything else left as it is. */
export function mergeSession(text: string, changes: SessionChanges): string {
  const values = valuesOf(text)
  for (const [key, value] of changes) {
    if (value === undefined) values.delete(key)
    else values.set(key, value)
  }
  return `{${[...values].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`
}

/** Session data with nothing but some of its keys. */
export function pickSession(text: string, keys: readonly string[]): string {
  const values = [...valuesOf(text)].filter(([key]) => keys.includes(key))
  return mergeSession('{}', new Map(values))
}

function valuesOf(text: string): Map<string, string> {
  const data = JSON.parse(text) as Readonly<Record<string, unknown>>
  return new Map(Object.entries(data).map(([key, value]) => [key, JSON.stringify(value)]))
}
