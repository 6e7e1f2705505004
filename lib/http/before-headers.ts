import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

/**
 * Does `work` right before the headers leave. Whatever writes the first byte calls it, often a timer or a stream of the site, where an
 * error would end the process. So none is thrown: what `work` could not do is left undone.
 */
export function beforeHeaders(res: ServerResponse, work: () => void): void {
  onHeaders(res, () => {
    try {
      work()
    } catch {}
  })
}
