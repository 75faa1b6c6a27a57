// cdrlog for Node.js. index.d.ts says what each function does.

import { createRequire } from 'node:module'

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
// An outcome that is awaited keeps the program running, and a timer is what can do so.
const TIMER_MS = 2 ** 31 - 1

export class Appender {
  #native
  // Sends that wait for room, one after the other, so that events keep their order.
  #waiting = 0
  #last = SENT
  #outcomes = new Map()
  #nextOutcome = 0
  #timer = null

  constructor(directory, options = {}) {
    const { onNotice, ...others } = options
    const onOutcome = outcome => this.#tell(outcome)
    this.#native = calling(() => new native.NativeAppender(directory, others, onOutcome, onNotice ?? (() => {})))
  }

  trySend(event) {
    return this.#waiting === 0 && this.#trySend(event)
  }

  #trySend(event) {
    try {
      return typeof event === 'string' ? this.#native.trySendText(event) : this.#native.trySend(event)
    } catch (error) {
      throw asOurs(error)
    }
  }

  send(event) {
    try {
      if (this.#waiting === 0 && this.#trySend(event)) return SENT
    } catch (error) {
      return Promise.reject(error)
    }
    // The caller may change its buffer now.
    const copy = Buffer.from(event)
    return this.#inOrder(() => awaiting(() => this.#native.sendWhenThereIsRoom(copy)))
  }

  sendAcked(event, durability) {
    const copy = Buffer.from(event)
    const number = this.#nextOutcome++
    const outcome = new Promise((resolve, reject) => this.#outcomes.set(number, { resolve, reject }))
    this.#timer ??= setInterval(() => {}, TIMER_MS)
    const send = () => awaiting(() => this.#native.sendAcked(copy, durability, number))
    this.#inOrder(send).catch(error => this.#settle(number, ({ reject }) => reject(error)))
    return outcome
  }

  #inOrder(send) {
    this.#waiting++
    const sent = this.#last.then(send).finally(() => this.#waiting--)
    // A failure is its sender's.
    this.#last = sent.catch(() => {})
    return sent
  }

  #tell({ number, error, position }) {
    this.#settle(number, ({ resolve, reject }) => (error ? reject(asOurs(new Error(error))) : resolve(position)))
  }

  #settle(number, settle) {
    settle(this.#outcomes.get(number))
    this.#outcomes.delete(number)
    if (this.#outcomes.size === 0) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }

  // What was sent before is what waits for room, too.
  async #wait(kind) {
    await this.#last
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

  close() {
    return this.#wait('close')
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
  return calling(() => native.rewrite(Buffer.from(event), eventBytesMax))
}
