import assert from 'node:assert/strict'
import fc from 'fast-check'

const throwing = {
  get method(): never {
    throw new TypeError('a getter')
  },
}
const hostile = new Proxy(
  {},
  { get: () => assert.fail('trap'), ownKeys: () => assert.fail('trap'), getPrototypeOf: () => null },
)
const revoked = Proxy.revocable([], {})
revoked.revoke()

/** Values that no option is made for. In functions, because a revoked proxy is nothing that a generator can look at. */
export const oddValues: fc.Arbitrary<() => unknown> = fc.oneof(
  fc
    .anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true })
    .map(value => () => value),
  fc.constantFrom<() => unknown>(
    () => null,
    () => Number.NaN,
    () => Number.POSITIVE_INFINITY,
    () => Symbol('x'),
    () => () => 5,
    () => async () => true,
    () => class {},
    () => throwing,
    () => hostile,
    () => revoked.proxy,
    () => Object.freeze({}),
    () => Object.create({ provder: 1 }),
    () => JSON.parse('{"__proto__":{"a":1}}'),
    () => Promise.resolve(),
    () => '',
    () => ' ',
    () => 'x y',
  ),
)
