import assert from 'node:assert/strict'
import { type Mock, mock, test } from 'node:test'
import { OidcError } from '../../lib/index.js'
import { createProviders, type ProviderServices } from '../../lib/middleware/providers.js'
import type { ProviderConfiguration } from '../../lib/options/several-providers.js'

const MINUTE = 60_000

/** Providers whose runtimes are made here, so that it can be counted what is made, asked and closed. */
function setUp(resolve: (name: string) => unknown) {
  const asked: string[] = []
  const closed: unknown[] = []
  const start = (configuration: ProviderConfiguration) => {
    const provider = { close: () => void closed.push(configuration) }
    return { provider, configuration, whenIdle: async () => {} } as unknown as ProviderServices
  }
  const providers = createProviders(
    {
      listed: new Map([['fixed', { name: 'fixed' } as unknown as ProviderConfiguration]]),
      defaultName: undefined,
      page: undefined,
      async resolve(name) {
        asked.push(name)
        const returned = await resolve(name)
        return returned === undefined ? undefined : { returned, read: () => returned as ProviderConfiguration }
      },
    },
    start,
  )
  return { providers, asked, closed }
}

async function later(milliseconds: number, run: () => Promise<void>): Promise<void> {
  const real = performance.now.bind(performance)
  const clock: Mock<() => number> = mock.method(performance, 'now', () => real() + milliseconds)
  try {
    await run()
  } finally {
    clock.mock.restore()
  }
}

test('a listed provider is found without the function', async () => {
  const { providers, asked } = setUp(() => ({}))
  assert.ok(await providers.find('fixed'))
  assert.deepEqual(asked, [])
})

test('of 1,000 tenants the 500 that were used last are kept, and the others are closed', async () => {
  const { providers, asked, closed } = setUp(name => ({ name }))
  for (let at = 0; at < 1000; at += 1) assert.ok(await providers.find(`t${at}`))
  assert.deepEqual([providers.count(), asked.length, closed.length], [500, 1000, 500])
  await providers.find('t999')
  assert.equal(asked.length, 1000)
  await providers.find('t0')
  assert.deepEqual([providers.count(), asked.length, closed.length], [500, 1001, 501])
})

test('a tenant that is used stays, however many others come', async () => {
  const { providers, asked } = setUp(name => ({ name }))
  for (let at = 0; at < 1000; at += 1) {
    await providers.find('regular')
    await providers.find(`t${at}`)
  }
  assert.equal(asked.filter(name => name === 'regular').length, 1)
})

test('requests at the same time share one call', async () => {
  const { providers, asked } = setUp(async name => {
    await new Promise(setImmediate)
    return { name }
  })
  const found = await Promise.all(Array.from({ length: 50 }, () => providers.find('acme')))
  assert.deepEqual([asked.length, new Set(found).size], [1, 1])
})

test('1,000 tenants that are wanted by three requests each, all at the same time: each is asked for once, and 500 are kept', async () => {
  const { providers, asked, closed } = setUp(async name => {
    await new Promise(setImmediate)
    return { name }
  })
  const found = await Promise.all(Array.from({ length: 3000 }, (_, at) => providers.find(`t${at % 1000}`)))
  assert.ok(found.every(provider => provider !== undefined))
  assert.equal(new Set(found).size, 1000)
  assert.deepEqual([asked.length, providers.count(), closed.length], [1000, 500, 500])
})

test('while the function fails, it is asked again after ten seconds and not by each request', async () => {
  let fails = false
  const { providers, asked } = setUp(name => {
    if (fails) throw new Error('the database is away')
    return { name }
  })
  const known = await providers.find('acme')
  fails = true
  await later(6 * 60 * 1000, async () => {
    for (let request = 0; request < 20; request += 1) assert.equal(await providers.find('acme'), known)
  })
  assert.equal(asked.length, 2)
  await later(6 * 60 * 1000 + 11_000, async () => {
    for (let request = 0; request < 20; request += 1) assert.equal(await providers.find('acme'), known)
  })
  assert.equal(asked.length, 3)
})

test('a provider that made room while the function failed is closed, and is not used', async () => {
  let fail = (): void => {}
  let fails = false
  const { providers, closed } = setUp(async name => {
    if (fails && name === 'acme') await new Promise((_, reject) => (fail = () => reject(new Error('away'))))
    return { name }
  })
  await providers.find('acme')
  fails = true
  await later(6 * 60 * 1000, async () => {
    const asking = providers.find('acme')
    for (let at = 0; at < 500; at += 1) await providers.find(`t${at}`)
    assert.equal(closed.length, 1)
    fail()
    await assert.rejects(asking, { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  })
})

test('nothing is kept of names that the site does not know', async () => {
  const { providers } = setUp(() => undefined)
  for (let at = 0; at < 2000; at += 1) assert.equal(await providers.find(`t${at}`), undefined)
  assert.equal(providers.count(), 0)
})

test('the site is not asked for what cannot be a name', async () => {
  const { providers, asked } = setUp(name => ({ name }))
  for (const name of ['', 'A', 'a.b', 'a/b', '../a', '-a', '__proto__', 'ä', 'a b', 'a\n', 'x'.repeat(65), '%61'])
    assert.equal(await providers.find(name), undefined, name)
  assert.deepEqual([asked, providers.count()], [[], 0])
})

test('the site is asked again after five minutes; what is the same object stays, and another one takes its place', async () => {
  const first = { name: 'first' }
  const second = { name: 'second' }
  let returned: object | undefined = first
  const { providers, asked, closed } = setUp(() => returned)
  const known = await providers.find('acme')
  await later(4 * MINUTE, async () => assert.equal(await providers.find('acme'), known))
  assert.equal(asked.length, 1)
  await later(6 * MINUTE, async () => assert.equal(await providers.find('acme'), known))
  assert.deepEqual([asked.length, closed], [2, []])
  returned = second
  await later(12 * MINUTE, async () => assert.notEqual(await providers.find('acme'), known))
  assert.deepEqual([asked.length, closed], [3, [first]])
  returned = undefined
  await later(18 * MINUTE, async () => assert.equal(await providers.find('acme'), undefined))
  assert.deepEqual([providers.count(), closed], [0, [first, second]])
})

test('while the site cannot say, providers that are known go on, and others are unavailable', async () => {
  let isBroken = false
  const { providers } = setUp(name => {
    if (isBroken) throw new RangeError('the database is away')
    return { name }
  })
  const known = await providers.find('acme')
  isBroken = true
  await later(6 * MINUTE, async () => assert.equal(await providers.find('acme'), known))
  await assert.rejects(providers.find('globex'), (error: OidcError) => {
    assert.equal(error.code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
    assert.ok(error.cause instanceof RangeError)
    return true
  })
  isBroken = false
  assert.ok(await providers.find('globex'))
})

test('a mistake in what the site has returned is named, and nothing is kept of it', async () => {
  const { providers } = setUp(() => {
    throw new OidcError('ERR_OIDC_OPTIONS', 'issuer is missing')
  })
  await assert.rejects(providers.find('acme'), { code: 'ERR_OIDC_OPTIONS', message: 'issuer is missing' })
  assert.equal(providers.count(), 0)
})

test('close ends all of them', async () => {
  const { providers, closed } = setUp(name => ({ name }))
  await providers.find('acme')
  await providers.close()
  assert.equal(closed.length, 2)
})
