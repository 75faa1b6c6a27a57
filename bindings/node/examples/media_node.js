// The signalling of a small media server: an event for each join and leave.
//
//     node media_node.js DIRECTORY SOCKET
//
// A client writes "join ROOM NAME" or "leave ROOM NAME" to the unix socket, a line each, and reads "ok" once the event
// outlives this process, or "busy" if the disk has been stalled for so long that the queue is full. SIGTERM ends the
// server; nothing that was answered is missing.

import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'

import { Appender } from '../index.js'

const EVENTS = { join: 'participantJoined', leave: 'participantLeft' }

// The event of a command; null if it is none.
function eventOf(command) {
  const [verb, sessionId, participantId, ...more] = command.split(' ')
  if (!Object.hasOwn(EVENTS, verb) || !sessionId || !participantId || more.length > 0) return null
  return JSON.stringify({ event: EVENTS[verb], timestamp: Date.now(), sessionId, participantId })
}

async function answer(appender, command) {
  const event = eventOf(command)
  if (event === null) return 'unknown command\n'
  // Media must not wait for the disk: this tries for a second and gives up.
  for (let tries = 0; tries < 1000; tries++) {
    if (appender.trySend(event)) return 'ok\n'
    await setTimeout(1)
  }
  return 'busy\n'
}

const connections = new Set()

async function serve(appender, connection) {
  connections.add(connection)
  // The client is gone: the lines end.
  connection.on('error', () => {})
  for await (const line of createInterface({ input: connection })) {
    connection.write(await answer(appender, line))
  }
  connections.delete(connection)
}

const [directory, socket] = process.argv.slice(2)
if (socket === undefined) {
  console.error('usage: media_node.js DIRECTORY SOCKET')
  process.exit(2)
}
const options = { onNotice: message => console.error(message) }
if (process.env.CDRLOG_INBOX_DIRECTORY) options.inboxDirectory = process.env.CDRLOG_INBOX_DIRECTORY
const appender = new Appender(directory, options)
if (appender.recovered) console.error(appender.recovered)

rmSync(socket, { force: true })
const server = createServer(connection => serve(appender, connection))
server.listen(socket, () => console.log('ready'))
process.once('SIGTERM', async () => {
  server.close()
  for (const connection of connections) connection.destroy()
  await appender.flush()
  const lines = appender.stats().events_journaled
  await appender.close()
  console.log(`${lines} lines`)
})
