/** Path of a program the tests need, or undefined where it is not installed. */
export function findTool(name: 'redis-server' | 'chromium' | 'nginx' | 'haproxy' | 'prometheus'): string | undefined
