// Builds the part in Rust, and puts it beside index.js. CDRLOG_PROFILE=dev builds faster, and what is slower.

import { spawnSync } from 'node:child_process'
import { copyFileSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const profile = process.env.CDRLOG_PROFILE ?? 'release'
const build = spawnSync(
  'cargo',
  ['build', '--profile', profile, '--message-format=json-render-diagnostics'],
  { cwd: here, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: Infinity },
)
if (build.error) throw build.error
if (build.status !== 0) process.exit(build.status ?? 1)
const library = build.stdout
  .split('\n')
  .filter(line => line.startsWith('{'))
  .map(line => JSON.parse(line))
  .filter(message => message.reason === 'compiler-artifact' && message.target.name === 'cdrlog_node')
  .flatMap(message => message.filenames)
  .find(file => file.endsWith('.so'))
if (!library) throw new Error('cargo built no library')
// A program that has the old one loaded keeps it.
copyFileSync(library, `${here}cdrlog.node.new`)
renameSync(`${here}cdrlog.node.new`, `${here}cdrlog.node`)
