type Payload = Record<string, unknown> & { grantId?: string; uid?: string; userCode?: string; consumed?: number }

/** What `oidc-provider` keeps, in the memory of one provider. It checks expiry itself. */
export function createAdapterFactory(): (model: string) => object {
  const models = new Map<string, Map<string, Payload>>()

  return model => {
    const records = models.get(model) ?? new Map<string, Payload>()
    models.set(model, records)
    const findBy = (field: 'uid' | 'userCode', value: string) =>
      [...records.values()].find(payload => payload[field] === value)

    return {
      upsert: async (id: string, payload: Payload) => void records.set(id, structuredClone(payload)),
      find: async (id: string) => records.get(id),
      findByUid: async (uid: string) => findBy('uid', uid),
      findByUserCode: async (code: string) => findBy('userCode', code),
      destroy: async (id: string) => void records.delete(id),
      async consume(id: string) {
        const payload = records.get(id)
        if (payload) payload.consumed = Math.floor(Date.now() / 1000)
      },
      async revokeByGrantId(grantId: string) {
        for (const [id, payload] of records) if (payload.grantId === grantId) records.delete(id)
      },
    }
  }
}
