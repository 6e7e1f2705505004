import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Config, type DevicePolicy, epochSeconds, publicPath, type SessionPolicy } from '../options/config.js'
import { type DeviceStatus, formatRegistration, judgeDevice, REGISTRATION_HEADER } from '../protocol/device-session.js'
import type { Sealer } from '../store/seal.js'
import type { SessionRecord } from '../store/store.js'
import { createDeviceSecrets, type DeviceSecrets } from './device-secrets.js'

/** Sessions that are bound to a key of their browser: Device Bound Session Credentials (draft). */
export interface DeviceBinding {
  readonly secrets: DeviceSecrets
  /** Judges the request of a session. `undefined`: no user is signed in there. */
  judge(req: IncomingMessage, record: SessionRecord): DeviceStatus | undefined
  /** Whether a request that was judged so may use the session. */
  admits(status: DeviceStatus | undefined): boolean
  /** Asks the browser to register a key for a session that begins with this response. */
  offer(res: ServerResponse, id: string): void
}

export function createDeviceBinding(
  config: Config,
  policy: SessionPolicy,
  device: DevicePolicy,
  sealer: Sealer,
): DeviceBinding {
  const secrets = createDeviceSecrets(config, policy, device, sealer)
  return {
    secrets,
    judge(req, record) {
      if (secrets.isProved(req, record.id)) return 'proved'
      const ticket = record.ticket()
      const { signedInAt } = ticket ?? {}
      if (signedInAt === undefined) return undefined
      return judgeDevice({ now: epochSeconds(config), signedInAt, boundAt: record.device()?.boundAt })
    },
    admits: status => status !== 'unproved' && !(status === 'unbound' && device.required),
    offer(res, id) {
      const { deviceProof } = config.routes
      const path = publicPath(config, deviceProof === false ? '/' : deviceProof)
      res.setHeader(REGISTRATION_HEADER, formatRegistration(path, secrets.createRegistrationChallenge(id)))
    },
  }
}
