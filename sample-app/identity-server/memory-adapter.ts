interface Entry {
  readonly payload: Record<string, unknown>
  readonly expiresAt: number
}

/** Entries between two sweeps of what has expired. */
const sweepEvery = 1_000

/**
 * What oidc-provider remembers (sessions, codes, tokens, grants), in the memory of this process.
 *
 * @returns The adapter factory of one identity server.
 */
export function createMemoryAdapter() {
  const entries = new Map<string, Entry>()
  let writes = 0

  const sweep = () => {
    for (const [key, { expiresAt }] of entries) if (expiresAt <= Date.now()) entries.delete(key)
  }
  const findKey = (prefix: string, name: string, value: string) => {
    for (const [key, { payload }] of entries) if (key.startsWith(prefix) && payload[name] === value) return key
    return undefined
  }

  return (model: string) => {
    const prefix = `${model}:`
    const read = (key: string | undefined) => {
      const entry = key === undefined ? undefined : entries.get(key)
      return entry && entry.expiresAt > Date.now() ? entry.payload : undefined
    }
    return {
      async upsert(id: string, payload: Record<string, unknown>, expiresIn?: number) {
        if (++writes % sweepEvery === 0) sweep()
        entries.set(prefix + id, { payload, expiresAt: Date.now() + (expiresIn ?? Number.POSITIVE_INFINITY) * 1000 })
      },
      find: async (id: string) => read(prefix + id),
      findByUid: async (uid: string) => read(findKey(prefix, 'uid', uid)),
      findByUserCode: async (userCode: string) => read(findKey(prefix, 'userCode', userCode)),
      async consume(id: string) {
        const payload = read(prefix + id)
        if (payload) payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id: string) => void entries.delete(prefix + id),
      async revokeByGrantId(grantId: string) {
        for (let key = findKey(prefix, 'grantId', grantId); key; key = findKey(prefix, 'grantId', grantId))
          entries.delete(key)
      },
    }
  }
}
