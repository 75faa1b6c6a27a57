// What an event costs in Node.js: cdrlog, and the destination of pino, whose file has the same bytes.
//
//     node bench.js cdrlog|pino DIRECTORY EVENTS

import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'

const BURST = 10_000 // between two flushes: fewer than a queue has room for
const EVENT = process.env.BENCH_EVENT

async function ofCdrlog(directory) {
  const { Appender } = await import('../node/index.js')
  const appender = new Appender(directory, { syncPolicy: 'never' })
  const event = Buffer.from(EVENT)
  return { send: () => appender.send(event), flush: () => appender.flush(), end: () => appender.close() }
}

async function ofPino(directory) {
  // Where bench.sh has installed it.
  const pino = createRequire(`${process.env.BENCH_MODULES}/`)('pino')
  mkdirSync(directory)
  const destination = pino.destination({ dest: `${directory}/pino.log`, sync: false, minLength: 4096 })
  await new Promise(resolve => destination.once('ready', resolve))
  const line = process.env.BENCH_LINE + '\n'
  const flush = () => new Promise((resolve, reject) => destination.flush(error => (error ? reject(error) : resolve())))
  return { send: () => destination.write(line), flush, end: () => destination.end() }
}

const [name, directory, events] = process.argv.slice(2)
const { send, flush, end } = await { cdrlog: ofCdrlog, pino: ofPino }[name](directory)
const rounds = Math.floor(events / BURST)
let sending, cpu, begin
// The first rounds, in which it is compiled, are not counted.
for (let round = -5; round < rounds; round++) {
  if (round === 0) {
    sending = 0n
    cpu = process.cpuUsage()
    begin = process.hrtime.bigint()
  }
  const roundBegin = process.hrtime.bigint()
  for (let sent = 0; sent < BURST; sent++) send()
  if (round >= 0) sending += process.hrtime.bigint() - roundBegin
  await flush()
}
const n = rounds * BURST
const used = process.cpuUsage(cpu)
const figures = [Number(sending), (used.user + used.system) * 1000, Number(process.hrtime.bigint() - begin)]
console.log(['node', name, ...figures.map(figure => (figure / n).toFixed(0))].join('\t'))
await end()
