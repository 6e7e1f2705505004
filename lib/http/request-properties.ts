/**
 * Gives requests properties whose values are computed on first access. To define them on every request would cost a page that
 * reads none of them more than all the rest we do for it. So they are defined once, on what all requests of an app inherit from: the
 * `request` of the outermost app, where Express itself says to put them. The getters find what they need on `this`.
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
    const owner = isFree ? outermostApp(req) : undefined
    if (owner === undefined) Object.defineProperties(req, properties)
    else Object.defineProperties(owner, { ...properties, [defined]: { value: true } })
  }
}

/** What is assigned belongs to that one request and hides what the others have. */
function defaultsFor(name: string): PropertyDescriptor {
  return {
    configurable: true,
    enumerable: true,
    set(value: unknown) {
      defineOwn(this, name, value)
    },
  }
}

/** An ordinary property, whatever the request inherits under that name. */
export function defineOwn(req: object, name: string, value: unknown): void {
  Object.defineProperty(req, name, { value, writable: true, configurable: true, enumerable: true })
}

/** The `request` of an app that is mounted inherits from that of the app it is mounted on, and only these have an `app` of their own. */
function outermostApp(req: object): object | undefined {
  let found: object | undefined
  for (let owner = Object.getPrototypeOf(req); owner !== null; owner = Object.getPrototypeOf(owner)) {
    if (Object.hasOwn(owner, 'app')) found = owner
  }
  return found
}
