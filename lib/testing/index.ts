export type { FakeProvider, FakeProviderOptions, RefusedSignIn, SignInOptions } from './fake-provider.js'
export { startFakeProvider } from './fake-provider.js'
export type { FakeUser } from './grant-book.js'
export type { TestedSite } from './tested-site.js'
