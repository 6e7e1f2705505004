// The tests use a real Redis, Chromium, nginx, haproxy and Prometheus. This finds them, installs them where that needs no question, and otherwise
// stops with the line to type. Plain Node without packages, because it runs before anything else.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TOOLS = {
  'redis-server': {
    variable: 'REDIS_SERVER',
    names: ['redis-server'],
    places: ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/redis/bin', '/snap/bin'],
    debianPackage: 'redis-server',
  },
  chromium: {
    variable: 'CHROMIUM_PATH',
    names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'],
    places: ['/usr/bin', '/usr/local/bin', '/opt/google/chrome', '/opt/homebrew/bin', '/snap/bin'],
    debianPackage: 'chromium',
  },
  nginx: {
    variable: 'NGINX_PATH',
    names: ['nginx'],
    places: ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'],
    debianPackage: 'nginx',
    versionFlag: '-v',
  },
  haproxy: {
    variable: 'HAPROXY_PATH',
    names: ['haproxy'],
    places: ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'],
    debianPackage: 'haproxy',
    versionFlag: '-v',
  },
  prometheus: {
    variable: 'PROMETHEUS_PATH',
    names: ['prometheus'],
    places: ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'],
    debianPackage: 'prometheus',
  },
}

const MAC_BROWSERS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/**
 * Path of a tool, or undefined. The environment variable decides alone when it is set: a typing error in it must not be
 * covered up by another installation.
 */
export function findTool(name) {
  const { variable, names, places } = TOOLS[name]
  const wanted = process.env[variable]
  if (wanted) return isExecutable(wanted) ? wanted : undefined
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...places]
  const candidates = folders.flatMap(folder => names.map(file => join(folder, file)))
  if (name === 'chromium') candidates.push(...MAC_BROWSERS, ...downloadedBrowsers())
  return candidates.find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Browsers that playwright-core has downloaded for this user, newest first. */
function downloadedBrowsers() {
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH || join(homedir(), '.cache', 'ms-playwright')
  if (!existsSync(cache)) return []
  return readdirSync(cache)
    .filter(folder => /^chromium-\d+$/.test(folder))
    .sort((a, b) => Number(b.slice(9)) - Number(a.slice(9)))
    .flatMap(folder => [join(cache, folder, 'chrome-linux64', 'chrome'), join(cache, folder, 'chrome-linux', 'chrome')])
}

/** A stub that only tells people to install a snap is executable too, so ask it for its version. */
function runs(path, versionFlag = '--version') {
  return spawnSync(path, [versionFlag], { timeout: 30_000, stdio: 'ignore' }).status === 0
}

function missingTools() {
  return Object.keys(TOOLS).filter(name => {
    const path = findTool(name)
    return path === undefined || !runs(path, TOOLS[name].versionFlag)
  })
}

function linuxFamily() {
  if (process.platform !== 'linux' || !existsSync('/etc/os-release')) return process.platform
  const release = readFileSync('/etc/os-release', 'utf8')
  const id = /^ID="?([a-z]+)/m.exec(release)?.[1] ?? 'linux'
  return id === 'ubuntu' || !/debian/.test(release) ? id : 'debian'
}

const aptGet = ['/usr/bin/apt-get', '/bin/apt-get'].find(path => existsSync(path))
const playwright = 'npx playwright-core install --with-deps chromium'

/** Ubuntu's chromium package only points to a snap, which does not run in containers: there the browser comes another way. */
function packagesFor(missing, family) {
  const names = family === 'ubuntu' ? missing.filter(name => name !== 'chromium') : missing
  return names.map(name => TOOLS[name].debianPackage)
}

function install(packages) {
  console.log(`Installing what the tests need from the distribution's packages: ${packages.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' } // RUNLEVEL: do not start a service
  const steps = [['update'], ['install', '-y', '--no-install-recommends', ...packages]]
  for (const args of steps) {
    const { status, stdout, stderr } = spawnSync(aptGet, ['-qq', ...args], { env, encoding: 'utf8' })
    if (status !== 0) {
      console.error(`${stdout}${stderr}`.trim().split('\n').slice(-15).join('\n'))
      return
    }
  }
}

function lineToType(missing, forced, family) {
  if (forced.length > 0) return `unset ${forced.map(name => TOOLS[name].variable).join(' ')}`
  const brew = {
    'redis-server': 'brew install redis',
    chromium: 'brew install --cask chromium',
    nginx: 'brew install nginx',
    haproxy: 'brew install haproxy',
    prometheus: 'brew install prometheus',
  }
  if (family === 'darwin') return missing.map(name => brew[name]).join(' && ')
  const lines = []
  const packages = aptGet ? packagesFor(missing, family) : []
  if (packages.length > 0) lines.push(`sudo apt-get update && sudo apt-get install -y ${packages.join(' ')}`)
  if (aptGet && family === 'ubuntu' && missing.includes('chromium')) lines.push(playwright)
  if (lines.length > 0) return lines.join(' && ')
  return `install ${missing.join(' and ')}, or set ${missing.map(name => TOOLS[name].variable).join(' and ')} to the program`
}

function ensureTools() {
  const family = linuxFamily()
  let missing = missingTools()
  const forced = missing.filter(name => process.env[TOOLS[name].variable])
  for (const name of forced) console.error(`${TOOLS[name].variable} does not name a program that runs.`)
  const packages = packagesFor(missing, family)
  const isAllowed = forced.length === 0 && process.getuid?.() === 0 && aptGet !== undefined
  if (packages.length > 0 && isAllowed) {
    install(packages)
    missing = missingTools()
  }
  if (missing.length === 0) return
  console.error(`The tests need ${missing.join(' and ')}. Type:\n\n  ${lineToType(missing, forced, family)}\n`)
  process.exitCode = 1
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) ensureTools()
