import type { DeviceKey } from '../protocol/device-proof.js'
import type { Backend } from './backend/backend.js'
import { FIELD } from './backend/record-fields.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/** The key of the browser that a session is bound to. */
export interface DeviceBinding {
  /** `undefined` for a value that cannot be opened: the session is bound, and nothing proves it. */
  readonly key: DeviceKey | undefined
  /** When it was registered, in seconds since the epoch. */
  readonly boundAt: number
}

/** `taken`: the session is bound already, to `device`. `absent`: there is no such session, or no user is signed in. */
export type BindResult =
  | { readonly outcome: 'done' | 'absent' }
  | { readonly outcome: 'taken'; readonly device: DeviceBinding }

export interface DeviceKeys {
  /**
   * Binds a session to a key, for good: the first key counts. One command.
   *
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  bindDevice(id: string, key: DeviceKey): Promise<BindResult>
}

interface DeviceKeysSettings {
  readonly backend: Backend
  readonly redisKeys: RedisKeys
  readonly sealer: Sealer
  /** Epoch s. */
  readonly now: () => number
}

export function createDeviceKeys({ backend, redisKeys, sealer, now }: DeviceKeysSettings): DeviceKeys {
  return {
    async bindDevice(id, key) {
      const binding: DeviceBinding = { key, boundAt: now() }
      const sealed = sealer.seal('device', id, JSON.stringify(binding))
      const added = await backend.addField(redisKeys.record(id), FIELD.device, sealed)
      if (added.outcome !== 'taken') return { outcome: added.outcome }
      return { outcome: 'taken', device: openDevice(sealer, id, added.value ?? Buffer.alloc(0)) }
    },
  }
}

/** What a record says. A value that this package did not write binds the session all the same: it must not set it free. */
export function openDevice(sealer: Sealer, id: string, sealed: Buffer): DeviceBinding {
  const opened = sealer.open('device', id, sealed)
  return opened === undefined ? { key: undefined, boundAt: 0 } : JSON.parse(opened.toString())
}
