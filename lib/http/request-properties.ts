import { IncomingMessage } from 'node:http'

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
    const owner = isFree ? baseOf(req) : undefined
    if (owner === undefined) Object.defineProperties(req, properties)
    else Object.defineProperties(owner, { ...properties, [defined]: { value: true } })
  }
}

/** Where there is a request of HTTP/2, its module is loaded: importing it would cost all the others some milliseconds. */
function baseOf(req: object): object | undefined {
  if (req instanceof IncomingMessage) return IncomingMessage.prototype
  const { Http2ServerRequest } = process.getBuiltinModule('node:http2')
  return req instanceof Http2ServerRequest ? Http2ServerRequest.prototype : undefined
}

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
