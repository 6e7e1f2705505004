import type { HttpRequest, HttpResponse } from '../http/node-http.js'
import type { Config, SessionPolicy } from '../options/config.js'
import type { DeviceStatus } from '../protocol/device-session.js'
import type { RecordStore, SessionRecord } from '../store/store.js'
import type { DeviceBinding } from './device-binding.js'

/** What the binding of sessions to devices says of each request. */
export interface DeviceCheck {
  /** Whether the site binds sessions. */
  readonly isOn: boolean
  statusOf(req: HttpRequest): DeviceStatus | undefined
  /** Whether the browser has proved that it may use the session, or need not. */
  admits(req: HttpRequest, record: SessionRecord): Promise<boolean>
  /** Asks the browser to register a key for a session that begins with this response. */
  offer(res: HttpResponse, id: string): Promise<void>
}

/** Few sites bind sessions: the others do not load what it takes. */
export function createDeviceCheck(config: Config, policy: SessionPolicy, { sealer }: RecordStore): DeviceCheck {
  const { device } = policy
  const statuses = new WeakMap<HttpRequest, DeviceStatus>()
  let loaded: Promise<DeviceBinding> | undefined

  async function load(): Promise<DeviceBinding | undefined> {
    if (device === undefined) return undefined
    loaded ??= import('./device-binding.js').then(({ createDeviceBinding }) =>
      createDeviceBinding(config, policy, device, sealer),
    )
    return loaded
  }

  return {
    isOn: device !== undefined,
    statusOf: req => statuses.get(req),
    async admits(req, record) {
      const binding = await load()
      const status = binding?.judge(req, record)
      if (binding === undefined || status === undefined) return true
      // What was asked of no browser is no failure of this one: the user signs in again.
      const isOffered = status !== 'unbound' || record.ticket()?.deviceOffered === true
      if (isOffered || binding.admits(status)) statuses.set(req, status)
      return binding.admits(status)
    },
    async offer(res, id) {
      const binding = await load()
      binding?.offer(res, id)
    },
  }
}
