import { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'

/**
 * Gives requests properties whose values are computed on first access. To define them on every request would cost a page that
 * reads none of them more than all the rest we do for it. So they are defined once, on what all requests inherit from: the prototype of
 * Node's own requests, which stays the same in every app that a request is passed to, however that is done. The getters find what they
 * need on `this`; on a request that was not given any they are `undefined`.
 */
export function createRequestProperties(accessors: PropertyDescriptorMap): (req: object) => void {
  const names = Object.keys(accessors)
  const properties = Object.fromEntries(
    Object.entries(accessors).map(([name, accessor]) => [name, { ...defaultsFor(name), ...accessor }]),
  )
  const defined = Symbol('defined')
  return req => {
    // What an earlier middleware left on this request gives way.
    for (const name of names) if (Object.hasOwn(req, name)) Reflect.deleteProperty(req, name)
    if (defined in req) return
    // What all requests have already, by another copy of this package say, keeps its place.
    const isFree = names.every(name => !(name in req))
    const owner = isFree ? bases.find(base => Object.prototype.isPrototypeOf.call(base, req)) : undefined
    if (owner === undefined) Object.defineProperties(req, properties)
    else Object.defineProperties(owner, { ...properties, [defined]: { value: true } })
  }
}

const bases: readonly object[] = [IncomingMessage.prototype, Http2ServerRequest.prototype]

/** What is assigned belongs to that one request and hides what the others have. */
function defaultsFor(name: string): PropertyDescriptor {
  return {
    configurable: true,
    enumerable: false,
    set(value: unknown) {
      defineOwn(this, name, value)
    },
  }
}

/** An ordinary property, whatever the request inherits under that name. */
export function defineOwn(req: object, name: string, value: unknown): void {
  Object.defineProperty(req, name, { value, writable: true, configurable: true, enumerable: true })
}
