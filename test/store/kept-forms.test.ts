import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { FormOwner, KeptForm } from '../../lib/store/kept-forms.js'
import { createRecordStore, type RecordStoreSettings } from '../../lib/store/store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { createClock } from './fixtures.js'

const owner: FormOwner = { issuer: 'https://issuer.example', subject: 'alice', bindingId: 'browser' }
const form: KeptForm = {
  address: '/notes?draft=1',
  encoding: 'multipart/form-data',
  fields: [
    ['title', 'a text that is in no dump'],
    ['photo', null],
  ],
  page: '/notes/new',
}

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const secrets = [secret('session secret')]

/** Opens stores that share what they hold: several processes of one site. */
function withStores(
  kind: 'memory' | 'redis',
  run: (
    open: (more?: Partial<RecordStoreSettings>) => ReturnType<typeof createRecordStore>,
    clock: ReturnType<typeof createClock>,
  ) => Promise<void>,
) {
  return async () => {
    const clock = createClock()
    const opened: ReturnType<typeof createRecordStore>[] = []
    const open = (more: Partial<RecordStoreSettings> = {}) => {
      const store = createRecordStore({
        ...(kind === 'redis' && { redis: redis.url }),
        secrets,
        idle: 100,
        absolute: 1000,
        timeout: 800,
        now: clock.now,
        log: () => {},
        keepsForms: true,
        ...more,
      })
      opened.push(store)
      return store
    }
    try {
      await run(open, clock)
    } finally {
      for (const store of opened) await store.close()
      if (kind === 'redis') await redis.command('FLUSHALL')
    }
  }
}

for (const kind of ['memory', 'redis'] as const) {
  describe(`kept forms, ${kind}`, () => {
    test(
      'are found by their owner and handle until they are removed, which succeeds once',
      withStores(kind, async open => {
        const forms = await open().keptForms()
        const handle = (await forms.keep(owner, form)) ?? ''
        assert.deepEqual(await forms.find(owner, handle), form)
        assert.deepEqual(await forms.find(owner, handle), form)
        const removals = await Promise.all(Array.from({ length: 10 }, () => forms.remove(owner, handle)))
        assert.equal(removals.filter(Boolean).length, 1)
        assert.equal(await forms.find(owner, handle), undefined)
        assert.equal(await forms.remove(owner, handle), false)
      }),
    )

    test(
      'are not found by another user, at another issuer or provider, in another browser, or with another handle',
      withStores(kind, async open => {
        const forms = await open().keptForms()
        const handle = (await forms.keep(owner, form)) ?? ''
        const others: Partial<FormOwner>[] = [
          { subject: 'bob' },
          { issuer: 'https://other.example' },
          { provider: 'acme' },
          { bindingId: 'another browser' },
        ]
        for (const other of others) {
          assert.equal(await forms.find({ ...owner, ...other }, handle), undefined, JSON.stringify(other))
        }
        for (const other of ['', 'x', `${handle}x`, handle.slice(1), handle.replace(/.$/, ''), `9${handle.slice(1)}`])
          assert.equal(await forms.find(owner, other), undefined, other)
        assert.deepEqual(await forms.find(owner, handle), form, 'the form stays where it is')
        assert.equal(await forms.remove({ ...owner, subject: 'bob' }, handle), false)
        assert.equal(await forms.remove(owner, handle), true)
      }),
    )

    test(
      'of one user are eight, the newest, whatever comes',
      withStores(kind, async (open, clock) => {
        const forms = await open().keptForms()
        const handles: string[] = []
        for (let count = 0; count < 30; count += 1) {
          clock.seconds += 1
          handles.push((await forms.keep(owner, form)) ?? '')
        }
        const found = await Promise.all(handles.map(handle => forms.find(owner, handle)))
        assert.deepEqual(
          found.map(each => each !== undefined),
          handles.map((_, at) => at >= 22),
        )
        const another = (await forms.keep({ ...owner, subject: 'bob' }, form)) ?? ''
        assert.ok(await forms.find({ ...owner, subject: 'bob' }, another), 'another user has a place of their own')
      }),
    )

    test(
      'are gone after fifteen minutes, and make room then',
      withStores(kind, async (open, clock) => {
        const forms = await open().keptForms()
        const handle = (await forms.keep(owner, form)) ?? ''
        clock.seconds += 15 * 60 - 1
        assert.ok(await forms.find(owner, handle))
        clock.seconds += 1
        assert.equal(await forms.find(owner, handle), undefined)
        await forms.keep(owner, form)
        assert.equal(await forms.remove(owner, handle), false, 'the next one has taken it away')
      }),
    )

    test(
      'of one process are a thousand in fifteen minutes',
      withStores(kind, async (open, clock) => {
        const forms = await open().keptForms()
        const small: KeptForm = { ...form, fields: [] }
        for (let count = 0; count < 1000; count += 1)
          assert.ok(await forms.keep({ ...owner, subject: String(count) }, small))
        assert.equal(await forms.keep(owner, form), undefined)
        clock.seconds += 15 * 60
        assert.ok(await forms.keep(owner, form))
      }),
    )
  })
}

describe('kept forms in Redis', () => {
  test(
    'are found by another process, and removed by one of two',
    withStores('redis', async open => {
      const [first, second] = [await open().keptForms(), await open().keptForms()]
      const handle = (await first.keep(owner, form)) ?? ''
      assert.deepEqual(await second.find(owner, handle), form)
      const removals = await Promise.all([first.remove(owner, handle), second.remove(owner, handle)])
      assert.deepEqual(removals.toSorted(), [false, true])
    }),
  )

  test(
    'are found while the secret is replaced',
    withStores('redis', async open => {
      const newer = secret('another session secret')
      const handle = (await (await open().keptForms()).keep(owner, form)) ?? ''
      const forms = await open({ secrets: [newer, ...secrets] }).keptForms()
      assert.deepEqual(await forms.find(owner, handle), form)
      assert.equal(await forms.remove(owner, handle), true)
    }),
  )

  test(
    'cannot be read from a dump, which has no handle and no name of a user, and expire with their key',
    withStores('redis', async open => {
      const handle = (await (await open().keptForms()).keep(owner, form)) ?? ''
      const dump = (await redis.contents()).toString('latin1')
      for (const text of [
        'a text that is in no dump',
        'title',
        '/notes',
        'alice',
        'issuer.example',
        handle,
        handle.slice(11),
      ])
        assert.ok(!dump.includes(text), text)
      const [key = '', ...others] = (await redis.command('KEYS', 'oidc:f:*')) as string[]
      assert.deepEqual(others, [])
      const ttl = Number(await redis.command('TTL', key))
      assert.ok(ttl > 0 && ttl <= 900, String(ttl))
    }),
  )

  test(
    'whose key holds something else are none, and are kept again',
    withStores('redis', async open => {
      const forms = await open().keptForms()
      const handle = (await forms.keep(owner, form)) ?? ''
      const [key = ''] = (await redis.command('KEYS', 'oidc:f:*')) as string[]
      await redis.command('SET', key, 'x')
      assert.equal(await forms.find(owner, handle), undefined)
      const again = (await forms.keep(owner, form)) ?? ''
      assert.deepEqual(await forms.find(owner, again), form)
    }),
  )

  test(
    'that were damaged are none',
    withStores('redis', async open => {
      const forms = await open().keptForms()
      const handle = (await forms.keep(owner, form)) ?? ''
      const [key = ''] = (await redis.command('KEYS', 'oidc:f:*')) as string[]
      const [name = ''] = (await redis.command('HKEYS', key)) as string[]
      await redis.command('HSET', key, name, 'x'.repeat(100))
      assert.equal(await forms.find(owner, handle), undefined)
    }),
  )
})
