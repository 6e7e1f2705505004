import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { OidcError } from '../../lib/index.js'
import { createSealer } from '../../lib/store/seal.js'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { assertCivil, fuzz, json, openFuzzFixture, text } from './fuzz.js'

/** What happens to the record of a signed-in user, and the request to the site after that. */
interface Input {
  readonly edits: readonly Edit[]
  readonly method: 'GET' | 'POST'
  readonly path: string
}

interface Edit {
  readonly field: (typeof fields)[number]
  readonly how: 'flip' | 'cut' | 'append' | 'text' | 'drop' | 'swap' | 'transplant' | 'seal'
  readonly at: number
  readonly text: string
  /** What is sealed anew, as another version of this package might have. */
  readonly json?: unknown
}

const fields = ['t', 'k', 's', 'n', 'e', 'i', 'l', 'f'] as const
/** What is sealed under which purpose. The rest is plain. */
const purposes = { t: 'ticket', k: 'tokens', s: 'session', i: 'summary' } as const

const watch = watchProcess()
const redis = await startRedis()
const client = new Redis(redis.url)
const siteSecret = secret('site secret')
const fixture = await openFuzzFixture({
  oidc: { redis: redis.url, secret: siteSecret, scope: 'openid offline_access', session: { keep: ['note'] } },
})
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  client.disconnect()
  await redis.stop()
  watch.check()
})

interface Person {
  readonly cookie: string
  readonly id: string
  readonly key: string
  readonly record: ReadonlyMap<string, Buffer>
}

/** Signs in with some data of the site, and gives back the cookie and the record. */
async function createPerson(note: string): Promise<Person> {
  const agent = createAgent()
  await agent.visit(`${site.url}/claims`)
  await agent.fetch(`${site.url}/session?note=${note}`, { method: 'POST', from: `${site.url}/` })
  const cookie = agent.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? ''
  const known = new Set(people.map(({ key }) => key))
  const keys = (await client.keys('oidc:*')).filter(key => key.length === 'oidc:'.length + 43 && !known.has(key))
  const key = keys[0] ?? ''
  const record = new Map(Object.entries(await client.hgetallBuffer(key)))
  return { cookie: `sid=${cookie}`, id: cookie.split('.')[0] ?? '', key, record }
}

const people: Person[] = []
people.push(await createPerson('mine'))
people.push(await createPerson('theirs'))
const [me, other] = people
assert.ok(me?.key && other?.key, 'no records')
const sealer = createSealer([siteSecret], JSON.stringify([provider.issuer, provider.clientId]))

const names = ['issuer', 'subject', 'sid', 'claims', 'scope', 'signedInAt', 'expiresAt', 'accessToken', 'refreshToken']
const more = ['tokenType', 'others', 'purpose', 'idToken', 'issuedAt', 'authTime', 'acr', 'cookie', 'note', 'sub']
const edits: fc.Arbitrary<Edit> = fc.record(
  {
    field: fc.constantFrom(...fields),
    how: fc.constantFrom('flip', 'cut', 'append', 'text', 'drop', 'swap', 'transplant', 'seal', 'seal'),
    at: fc.nat(600),
    text: fc.oneof(text, fc.constantFrom('0:9999999999', '1:1', '-1', '9007199254740993', '1e308', '1:x')),
    json: fc.oneof(json([...names, ...more]), fc.dictionary(fc.constantFrom(...names, ...more), json(names))),
  },
  { requiredKeys: ['field', 'how', 'at', 'text'] },
)
const inputs: fc.Arbitrary<Input> = fc.record({
  edits: fc.array(edits, { minLength: 1, maxLength: 3 }),
  method: fc.constantFrom('GET', 'GET', 'POST'),
  path: fc.constantFrom('/user', '/user', '/claims', '/session?x=1', '/token', '/editors', '/logout?local=1'),
})

/** What was there with members changed: a value of another version is alike for the most part. */
function sealAnew(field: keyof typeof purposes, value: unknown): Buffer {
  assert.ok(me, 'no user')
  const context = field === 'i' ? me.key : me.id
  const before = sealer.open(purposes[field], context, me.record.get(field) ?? Buffer.alloc(0))
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  const whole: unknown = isObject ? { ...(JSON.parse(before?.toString() ?? '{}') as object), ...value } : value
  return sealer.seal(purposes[field], context, JSON.stringify(whole) ?? 'undefined')
}

function edit(record: Map<string, Buffer>, { field, how, at, text: given, json: value }: Edit): void {
  const old = record.get(field) ?? Buffer.alloc(0)
  const index = at % (old.length + 1)
  const flipped = Buffer.from(old)
  if (index < flipped.length) flipped[index] = (flipped[index] ?? 0) ^ (1 << (at % 8))
  const changed = {
    flip: () => flipped,
    cut: () => old.subarray(0, index),
    append: () => Buffer.concat([old, Buffer.from(given)]),
    text: () => Buffer.from(given),
    drop: () => undefined,
    swap: () => record.get(fields[at % fields.length] ?? 't'),
    transplant: () => other?.record.get(field),
    seal: () => (field in purposes ? sealAnew(field as keyof typeof purposes, value) : Buffer.from(given)),
  }[how]()
  if (changed === undefined) record.delete(field)
  else record.set(field, changed)
}

async function put(record: ReadonlyMap<string, Buffer>): Promise<void> {
  assert.ok(me, 'no user')
  await client.del(me.key)
  if (record.size > 0) await client.hset(me.key, record as Map<string, Buffer>)
  await client.expire(me.key, 3600)
}

async function act({ edits: wanted, method, path }: Input): Promise<void> {
  assert.ok(me && other, 'no user')
  const record = new Map(me.record)
  for (const one of wanted) edit(record, one)
  await put(record)
  const isPost = method === 'POST' && path.startsWith('/session')
  const headers = {
    cookie: me.cookie,
    accept: 'text/html',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-site': 'same-origin',
    'sec-fetch-dest': 'document',
  }
  const response = await send({ url: site.url + path, method: isPost ? 'POST' : 'GET', headers })
  // 502 and 503: a refresh token that was damaged says that the provider is to be asked.
  assertCivil(response, [502, 503])
  assert.ok(!response.text.includes('theirs'), 'the data of another user')
  const isSignedIn =
    path === '/user' ? response.text.includes('"isAuthenticated":true') : path === '/claims' && response.status === 200
  const isWhole = Buffer.compare(record.get('t') ?? Buffer.alloc(0), me.record.get('t') ?? Buffer.alloc(0)) === 0
  if (isSignedIn) assert.ok(isWhole || wanted.some(({ field, how }) => field === 't' && how === 'seal'), 'believed')
  if (isSignedIn && isWhole) assert.match(response.text, /"sub":"alice-0001"/)
  const listed = site.oidc.sessions.list({ sub: 'alice-0001' })
  assert.ok(Array.isArray(await listed.catch(refused)), 'the list of sessions')
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
}

function refused(error: unknown): readonly [] {
  if (error instanceof OidcError) return []
  throw error
}

test('whatever happens to a record in Redis, the site keeps responding, and a record signs in only the user it was sealed for', async t => {
  await act({ edits: [], method: 'GET', path: '/user' })
  await fuzz(t, { name: 'records', inputs, runs: 500, act, fixtures: [] })
  assert.deepEqual(
    site.errors.filter(error => !(error instanceof OidcError)),
    [],
    'errors that are not ours',
  )
  await put(me?.record ?? new Map())
  const { text: whole } = await send({ url: `${site.url}/user`, headers: { cookie: me?.cookie ?? '' } })
  assert.match(whole, /"sub":"alice-0001"/)
  const { text: session } = await send({ url: `${site.url}/session`, headers: { cookie: other?.cookie ?? '' } })
  assert.match(session, /theirs/, 'the other user is not affected')
})
