// cdrlog for Node.js. index.d.ts says what each function does.

import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { isUint8Array } from 'node:util/types'

const native = createRequire(import.meta.url)('./cdrlog.node')

export class CdrlogError extends Error {
  constructor(code, message) {
    super(message)
    this.name = 'CdrlogError'
    this.code = code
  }
}

// An error of the part in Rust: a code, a line feed, a message. Others are mistakes of types.
function asOurs(error) {
  const [code, message] = error.message.split(/\n(.*)/s)
  return message === undefined ? new TypeError(error.message) : new CdrlogError(code, message)
}

function calling(call) {
  try {
    return call()
  } catch (error) {
    throw asOurs(error)
  }
}

async function awaiting(call) {
  try {
    return await call()
  } catch (error) {
    throw asOurs(error)
  }
}

const SENT = Promise.resolve()
// How long a send waits for room between two tries. No thread waits: there are few, which serve the whole program, and
// its end waits for them.
const FULL_POLL_MS = 5
// An outcome that is awaited keeps the program running, and a timer is what can do so.
const TIMER_MS = 2 ** 31 - 1

function mustBeAnEvent(event) {
  if (typeof event !== 'string' && !isUint8Array(event)) throw new TypeError('an event is a string or a Uint8Array')
}

// What became of events that were sent with sendAcked. The part in Rust holds it as long as it may tell of one, so it
// does not hold the appender, which is collected once the program has forgotten it.
class Outcomes {
  #awaited = new Map()
  #next = 0
  #timer = null

  // Gives the number of an event, and the promise of its outcome.
  begin() {
    const number = this.#next++
    const outcome = new Promise((resolve, reject) => this.#awaited.set(number, { resolve, reject }))
    this.#timer ??= setInterval(() => {}, TIMER_MS)
    return { number, outcome }
  }

  // A function of its own: one of the appender's constructor would hold what that has.
  tell = ({ number, error, position }) => {
    if (error) this.reject(number, asOurs(new Error(error)))
    else this.#take(number).resolve(position)
  }

  reject(number, error) {
    this.#take(number).reject(error)
  }

  #take(number) {
    const settle = this.#awaited.get(number)
    this.#awaited.delete(number)
    if (this.#awaited.size === 0) {
      clearInterval(this.#timer)
      this.#timer = null
    }
    return settle
  }
}

export class Appender {
  #native
  // Sends that wait for room, one after the other, so that events keep their order.
  #waiting = 0
  #last = SENT
  #outcomes = new Outcomes()

  constructor(directory, options = {}) {
    const { onNotice, ...others } = options
    const { tell } = this.#outcomes
    this.#native = calling(() => new native.NativeAppender(directory, others, tell, onNotice ?? (() => {})))
  }

  trySend(event) {
    mustBeAnEvent(event)
    return this.#waiting === 0 && calling(() => this.#trySend(event))
  }

  #trySend(event) {
    return typeof event === 'string' ? this.#native.trySendText(event) : this.#native.trySend(event)
  }

  send(event) {
    return this.#sendInOrder(event, event => this.#trySend(event))
  }

  sendAcked(event, durability) {
    const { number, outcome } = this.#outcomes.begin()
    const trySend = event => this.#native.trySendAcked(Buffer.from(event), durability, number)
    this.#sendInOrder(event, trySend).catch(error => this.#outcomes.reject(number, error))
    return outcome
  }

  #sendInOrder(event, trySend) {
    try {
      mustBeAnEvent(event)
      if (this.#waiting === 0 && trySend(event)) return SENT
    } catch (error) {
      return Promise.reject(asOurs(error))
    }
    // The caller may change its buffer now.
    const copy = typeof event === 'string' ? event : Buffer.from(event)
    this.#waiting++
    const send = async () => {
      while (!trySend(copy)) await sleep(FULL_POLL_MS)
    }
    const sent = this.#last.then(() => awaiting(send)).finally(() => this.#waiting--)
    // A failure is its sender's.
    this.#last = sent.catch(() => {})
    return sent
  }

  // What was sent before is what waits for room, too: each flush makes some, or says that writes fail.
  async #flushWaiting() {
    let areSent = this.#waiting === 0
    this.#last.then(() => (areSent = true))
    while (!areSent) await awaiting(() => this.#native.wait('flush'))
  }

  async #wait(kind) {
    await this.#flushWaiting()
    return awaiting(() => this.#native.wait(kind))
  }

  flush() {
    return this.#wait('flush')
  }

  sync() {
    return this.#wait('sync')
  }

  rotate() {
    return this.#wait('rotate')
  }

  waitForMaintenance() {
    return this.#wait('maintenance')
  }

  async close() {
    // While writes fail there is no room: what waits for it is refused by the close, and its senders are told.
    await this.#flushWaiting().catch(() => {})
    try {
      await awaiting(() => this.#native.wait('close'))
    } finally {
      this.#native.release()
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.close()
  }

  stats() {
    return calling(() => this.#native.stats())
  }

  get cdrPath() {
    return calling(() => this.#native.cdrPath())
  }

  get rejectsPath() {
    return calling(() => this.#native.rejectsPath())
  }

  get inboxPath() {
    return calling(() => this.#native.inboxPath())
  }

  get recovered() {
    return calling(() => this.#native.recovered())
  }
}

// How long a thread waits for a line before it looks whether the reader is still wanted.
const FOLLOW_MS = 500

export class Reader {
  #native
  #follows

  constructor(directory, options = {}) {
    this.#native = calling(() => new native.NativeReader(directory, options))
    this.#follows = options.follow === true
  }

  next() {
    return calling(() => this.#native.next())
  }

  get position() {
    return this.#native.position()
  }

  *lines() {
    for (let line; (line = this.next()) !== null; ) yield line
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      yield* this.lines()
      if (!this.#follows) return
      await awaiting(() => this.#native.wait(FOLLOW_MS))
    }
  }
}

export function rewrite(event, eventBytesMax = 2 ** 20) {
  mustBeAnEvent(event)
  return calling(() => native.rewrite(Buffer.from(event), eventBytesMax))
}
