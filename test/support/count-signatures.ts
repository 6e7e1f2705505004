import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** Counts the signatures that this process makes by `node:crypto` or WebCrypto, until it is stopped. */
export function countSignatures(): { readonly count: () => number; readonly stop: () => void } {
  const { sign, createSign } = crypto
  const { subtle } = crypto.webcrypto
  const usual = subtle.sign
  let count = 0
  const counting = <F extends (...args: never[]) => unknown>(original: F, self?: object) =>
    function counted(...args: Parameters<F>) {
      count += 1
      return original.apply(self, args)
    }
  Object.assign(crypto, { sign: counting(sign as never), createSign: counting(createSign) })
  Object.assign(subtle, { sign: counting(usual as never, subtle) })
  syncBuiltinESMExports()
  return {
    count: () => count,
    stop() {
      Object.assign(crypto, { sign, createSign })
      Reflect.deleteProperty(subtle, 'sign')
      syncBuiltinESMExports()
    },
  }
}
