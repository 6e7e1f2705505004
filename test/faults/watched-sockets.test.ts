import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startRedis, until } from '../support/redis.js'
import { untilSaid } from '../support/running-site.js'
import type { Instance } from './fleet.js'
import { startTcpProxy } from './tcp-proxy.js'
import {
  type EndEvent,
  type FleetOptions,
  type Opened,
  openSocket,
  openStream,
  openWatchedFleet,
  statusOf,
  type WatchedFleet,
} from './watched-fleet.js'

/** `oidc.watch` in three processes of a site. */

function withFleet(run: (fleet: WatchedFleet) => Promise<void>, options: FleetOptions = {}): () => Promise<void> {
  return async () => {
    const fleet = await openWatchedFleet(options)
    try {
      await run(fleet)
      for (const instance of fleet.instances) assert.doesNotMatch(instance.output(), /UNHANDLED/)
    } finally {
      await fleet.close()
    }
  }
}

/** A stream and a WebSocket of each session at each process. */
async function openEverywhere(instances: readonly Instance[], cookies: readonly string[]): Promise<Opened[]> {
  const pairs = instances.flatMap(instance => cookies.map(cookie => [instance, cookie] as const))
  const opened = pairs.flatMap(([instance, cookie]) => [openStream(instance, cookie), openSocket(instance, cookie)])
  return Promise.all(opened)
}

const endsOf = (opened: readonly Opened[]) => Promise.all(opened.map(({ closed }) => closed))
const all = <T>({ length }: readonly unknown[], value: T): T[] => Array.from({ length }, () => value)

/** Whether none of them is closed, when something that came later than their end would have come has arrived. */
async function areOpen(opened: readonly Opened[]): Promise<boolean> {
  const open = Symbol('open')
  const states = await Promise.all(opened.map(({ closed }) => Promise.race([closed, Promise.resolve(open)])))
  return states.every(state => state === open)
}

const REASONS: Readonly<Record<EndEvent, string>> = {
  'global revocation': 'global-revocation',
  'CAEP session-revoked': 'signal',
}
const EVENTS = Object.keys(REASONS) as EndEvent[]

describe('oidc.watch in three processes', () => {
  test(
    'one event at one process closes the streams and the WebSockets of the user at all of them, and no other',
    withFleet(async fleet => {
      const { instances } = fleet
      const [first] = instances as [Instance]
      const bob = await openEverywhere(instances, await fleet.signIn('bob', 1))
      for (const event of EVENTS) {
        const cookies = await fleet.signIn(event, 2)
        const opened = await openEverywhere(instances, cookies)
        await fleet.areTold(3)
        assert.ok([202, 204].includes(await fleet.end(event, event, first)), event)
        assert.deepEqual(await endsOf(opened), all(opened, REASONS[event]))
        for (const instance of instances)
          assert.deepEqual(await Promise.all(cookies.map(cookie => statusOf(instance, cookie))), [401, 401])
      }
      assert.ok(await areOpen(bob))
    }),
  )

  test(
    'the process that handles the event is killed: the sender tries another one, and every socket of the others is closed',
    withFleet(async fleet => {
      const [killed, ...others] = fleet.instances as [Instance, ...Instance[]]
      const cookies = await fleet.signIn('alice', 20)
      const [lost, told] = [await openEverywhere([killed], cookies), await openEverywhere(others, cookies)]
      await fleet.areTold(3)
      const sent = fleet.end('global revocation', 'alice', killed)
      // As soon as it has begun to end them.
      await until(
        'the first session has ended',
        async () => (await statusOf(others[0] as Instance, cookies[0] ?? '')) === 401,
      )
      await killed.kill()
      await sent
      assert.equal(await fleet.end('global revocation', 'alice', others[0] as Instance), 204)
      assert.deepEqual(await endsOf(told), all(told, 'global-revocation'))
      for (const end of await endsOf(lost)) assert.ok(end === undefined || end === 'global-revocation', String(end))
      const replacement = await fleet.start()
      const later = await openEverywhere([replacement, ...others], await fleet.signIn('carol', 1))
      await fleet.areTold(3)
      assert.equal(await fleet.end('global revocation', 'carol', replacement), 204)
      assert.deepEqual(await endsOf(later), all(later, 'global-revocation'))
    }),
  )

  test('Redis is restarted: no socket is closed for it, what ended while it was away is found, and the subscription comes back', async () => {
    const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const wire = await startTcpProxy(redis.port)
    try {
      await withFleet(
        async fleet => {
          const { instances } = fleet
          const [first] = instances as [Instance]
          const [alice, bob] = [await fleet.signIn('alice', 2), await fleet.signIn('bob', 2)]
          const [ended, kept] = [await openEverywhere(instances, alice), await openEverywhere(instances, bob)]
          await fleet.areTold(3)
          await wire.refuse()
          assert.equal(await fleet.end('global revocation', 'bob', first), 503, 'the sender tries again')
          await redis.restart()
          // The user of Redis is none of what it keeps.
          await redis.command('ACL', 'SETUSER', 'site', 'on', '>pass-word', '~*', '&*', '+@all')
          assert.equal(await fleet.remove('alice'), 2)
          await wire.accept()
          assert.deepEqual(await endsOf(ended), all(ended, ''), 'found without being told')
          assert.ok(await areOpen(kept))
          await fleet.areTold(3)
          await until('the event is taken', async () => (await fleet.end('global revocation', 'bob', first)) === 204)
          assert.deepEqual(await endsOf(kept), all(kept, 'global-revocation'))
        },
        { redis, redisPort: wire.port },
      )()
    } finally {
      await wire.close()
    }
  })

  test(
    'where the user of Redis may not subscribe, every process finds the end by reading',
    withFleet(
      async fleet => {
        const { instances } = fleet
        const opened = await openEverywhere(instances, await fleet.signIn('alice', 2))
        assert.equal(await fleet.end('CAEP session-revoked', 'alice', instances[0] as Instance), 202)
        assert.deepEqual(await endsOf(opened), all(opened, ''))
        for (const instance of instances) await untilSaid(instance, /oidc\.watch\(\) looks every two seconds/)
      },
      { isTold: false },
    ),
  )

  test(
    'a process whose clock is two hours ahead or behind closes no socket by it, and those of an event as the others do',
    withFleet(
      async fleet => {
        const wrong = [await fleet.start({ ahead: 7_200_000 }), await fleet.start({ ahead: -7_200_000 })]
        const [alice, bob] = [await fleet.signIn('alice', 1), await fleet.signIn('bob', 1)]
        const [opened, kept] = [await openEverywhere(wrong, alice), await openEverywhere(wrong, bob)]
        await fleet.areTold(2)
        assert.equal(await fleet.end('global revocation', 'alice', fleet.instances[0] as Instance), 204)
        assert.deepEqual(await endsOf(opened), all(opened, 'global-revocation'))
        assert.ok(await areOpen(kept))
      },
      { processes: 1 },
    ),
  )
})
