import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Command, Redis } from 'ioredis'
import type { RecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { issuer, StoreFixture, signIn, ticket } from './fixtures.js'

/**
 * A sign-in writes its index and its record at once. On the nodes of a Cluster they may arrive in any order, and a logout may come in between; the
 * client of this test lets them go one by one.
 */
const fixture = new StoreFixture()
let server: RedisServer
let elsewhere: RecordStore

before(async () => {
  server = await startRedis()
  elsewhere = fixture.stateOf('ioredis 5', server)
})
after(async () => {
  await fixture.close()
  await server.stop()
})

interface HeldCommand {
  readonly key: string
  send(): Promise<unknown>
}

/** Holds what is sent from `hold()` until `release()`. */
function holdCommands(client: Redis) {
  const send = client.sendCommand.bind(client)
  let held: HeldCommand[] | undefined
  client.sendCommand = (command: Command, stream) => {
    if (held === undefined) return send(command, stream)
    const key = String(command.args[2] ?? command.args[0])
    held.push({ key, send: () => Promise.resolve(send(command, stream)).catch(() => {}) })
    return command.promise
  }
  return {
    hold() {
      held = []
    },
    release(): readonly HeldCommand[] {
      const commands = held ?? []
      held = undefined
      return commands
    },
  }
}

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length <= 1) return [items]
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map(rest => [item, ...rest]))
}

test('a logout wins between any two writes of a sign-in, in whatever order they arrive', async () => {
  const client = fixture.client(server)
  const here = fixture.state({ redis: client })
  await signIn(here)
  await here.endAll({ issuer, subject: 'alice' })
  const commands = holdCommands(client)
  const orders = permutations([0, 1, 2])
  for (const order of orders) {
    for (let before = 0; before <= order.length; before += 1) {
      const subject = `user ${order.join('')} ${before}`
      commands.hold()
      const signingIn = signIn(here, { ticket: ticket({ subject, sid: subject }) }).then(
        () => 'signed in',
        error => error.code,
      )
      for (let turn = 0; turn < 5; turn += 1) await nextTurn()
      const held = commands.release()
      assert.equal(held.length, order.length, held.map(({ key }) => key).join())
      const sendAll = async (positions: readonly number[]) => {
        for (const at of positions) await held[at]?.send()
      }
      await sendAll(order.slice(0, before))
      await elsewhere.endAll({ issuer, subject }, { logout: {}, remember: 60 })
      await sendAll(order.slice(before))
      const outcome = await signingIn
      // After the last write the sign-in may be complete before the logout, which ends its session then.
      if (before < order.length)
        assert.equal(outcome, 'ERR_OIDC_SIGN_IN_ENDED', `${order} with a logout after ${before}`)
      assert.equal(await here.sessions.length(), 0)
    }
  }
})
