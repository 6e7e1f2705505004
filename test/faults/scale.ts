/**
 * How much longer than in `npm test` the long tests run: 1 there, more in `npm run test:long`, which sets OIDC_TEST_SCALE. Everything
 * that depends on it is bounded, so that the long run ends within minutes.
 */
export const scale = Math.max(1, Number(process.env.OIDC_TEST_SCALE ?? 1))
