import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

const COUNTED = ['createHmac', 'createCipheriv', 'createDecipheriv'] as const

/** Counts what this process asks of `node:crypto` that needs a key, by name, until `stop`. */
export function countCrypto() {
  const counts = { createHmac: 0, createCipheriv: 0, createDecipheriv: 0 }
  const originals = { ...crypto }
  for (const name of COUNTED) {
    const original = crypto[name] as (...args: unknown[]) => unknown
    Object.assign(crypto, {
      [name](...args: unknown[]) {
        counts[name] += 1
        return original(...args)
      },
    })
  }
  syncBuiltinESMExports()
  return {
    counts,
    stop() {
      for (const name of COUNTED) Object.assign(crypto, { [name]: originals[name] })
      syncBuiltinESMExports()
    },
  }
}
