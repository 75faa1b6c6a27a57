// The module keeps what it says.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'

import { Appender, CdrlogError, Reader, rewrite } from '../index.js'

const EVENT = '{"event":"sessionCreated","timestamp":1}'
const LINE = '{"sessionCreated":{"timestamp":1}}'

const inboxDirectory = mkdtempSync('/dev/shm/cdrlog-test-')
const directories = [inboxDirectory]
let directory

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdrlog-test-'))
  directories.push(directory)
})

after(() => directories.forEach(directory => rmSync(directory, { recursive: true })))

async function withAppender(options, use) {
  const appender = new Appender(directory, { inboxDirectory, ...options })
  try {
    await use(appender)
  } finally {
    await appender.close()
  }
}

// No file of this process may grow meanwhile.
async function withoutDisk(use) {
  const limitFiles = bytes => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`])
  const ignore = () => {}
  process.on('SIGXFSZ', ignore)
  limitFiles(0)
  try {
    await use()
  } finally {
    limitFiles('unlimited')
    process.off('SIGXFSZ', ignore)
  }
}

const SMALL = { eventBytesMax: 4096, segmentBytes: 4096, segmentCount: 2, queueEventsMax: 4 }

// Sends until the queue is full: the journal takes what is in it until it is full too.
async function fill(appender) {
  for (let refusedAt = null; refusedAt === null || performance.now() - refusedAt < 200; ) {
    if (appender.trySend(EVENT)) {
      refusedAt = null
    } else {
      refusedAt ??= performance.now()
      await sleep(1)
    }
  }
}

const lines = () => [...new Reader(directory).lines()].map(String)
const hasCode = code => error => error instanceof CdrlogError && error.code === code && error.message !== ''

test('text and bytes become lines', () =>
  withAppender({}, async appender => {
    for (const event of [EVENT, Buffer.from(EVENT), new Uint8Array(Buffer.from(EVENT))]) {
      await appender.send(event)
      assert.equal(appender.trySend(event), true)
    }
    await appender.flush()
    assert.equal(readFileSync(appender.cdrPath, 'utf8'), (LINE + '\n').repeat(6))
    assert.equal(appender.stats().events_journaled, 6)
    await assert.rejects(appender.send(7), TypeError)
    assert.throws(() => appender.trySend(7), TypeError)
  }))

test('a body that is not an event is kept', () =>
  withAppender({}, async appender => {
    await appender.send('[]')
    await appender.sync()
    assert.match(readFileSync(appender.rejectsPath, 'utf8'), /not_an_object/)
    assert.equal([...new Reader(directory, { rejects: true }).lines()].length, 1)
  }))

test('an event is safe when send returns, without a turn of the event loop', async () => {
  const module = fileURLToPath(new URL('../index.js', import.meta.url))
  const child = spawnSync(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { Appender } from ${JSON.stringify(module)}
     // The library is slower than the death.
     const options = { inboxDirectory: ${JSON.stringify(inboxDirectory)}, flushIntervalMs: 60_000 }
     const appender = new Appender(${JSON.stringify(directory)}, options)
     for (let sent = 0; sent < 100; sent++) appender.send(${JSON.stringify(EVENT)})
     process.kill(process.pid, 'SIGKILL')`,
  ])
  assert.equal(child.signal, 'SIGKILL', child.stderr.toString())
  await withAppender({}, appender => assert.notEqual(appender.recovered, null))
  assert.deepEqual(lines(), Array(100).fill(LINE))
})

test('a queue that is full is told by trySend, and waited for by send in order', async () => {
  // One segment cannot be written while another one is: the queue fills.
  const small = { eventBytesMax: 4096, segmentBytes: 4096, segmentCount: 2, queueEventsMax: 2, flushIntervalMs: 50 }
  await withAppender(small, async appender => {
    let number = 0
    const next = () => `{"event":"e","number":${number++}}`
    let refused = 0
    for (; refused === 0 && number < 1_000_000; ) refused += appender.trySend(next()) ? 0 : 1
    assert.equal(refused, 1, 'the queue is never full')
    number--
    const buffer = Buffer.from(next())
    const sent = [appender.send(buffer)]
    buffer.fill(0) // it was copied
    for (let more = 0; more < 200; more++) sent.push(appender.send(next()))
    await Promise.all(sent)
  })
  const numbers = lines().map(line => JSON.parse(line).e.number)
  assert.deepEqual(numbers, numbers.map((_, index) => index))
  assert.ok(numbers.length > 201)
})

test('an acknowledgement gives the position of the line', () =>
  withAppender({}, async appender => {
    await appender.send(EVENT)
    const outcomes = await Promise.allSettled([
      appender.sendAcked(EVENT, 'written'),
      appender.sendAcked('[]', 'journaled'),
      appender.sendAcked(EVENT, 'printed'),
    ])
    const bytes = LINE.length + 1
    assert.deepEqual(outcomes[0].value, { file: appender.cdrPath, offset: bytes, lineBytes: bytes })
    assert.ok(hasCode('REJECTED')(outcomes[1].reason))
    assert.ok(hasCode('INVALID_ARGUMENT')(outcomes[2].reason))
  }))

test('an error says what can be done', async () => {
  await withAppender({}, async appender => {
    assert.throws(() => new Appender(directory), hasCode('LOCKED'))
    assert.throws(() => new Appender('/proc/no directory'), hasCode('IO'))
    for (const wrong of [{ segmentCount: 1 }, { segmentCount: 2.5 }, { syncPolicy: 'daily' }, { compression: 'rar' }, { flushIntervalMs: -1 }]) {
      assert.throws(() => new Appender(directory + '/other', wrong), hasCode('INVALID_ARGUMENT'))
    }
    assert.throws(() => new Appender(directory + '/other', { utc: 'yes' }), TypeError)
    await appender.close()
    await appender.close()
    assert.throws(() => appender.trySend(EVENT), hasCode('CLOSED'))
    assert.throws(() => appender.stats(), hasCode('CLOSED'))
    await assert.rejects(appender.send(EVENT), hasCode('CLOSED'))
    await assert.rejects(appender.sendAcked(EVENT, 'written'), hasCode('CLOSED'))
    await assert.rejects(appender.flush(), hasCode('CLOSED'))
  })
})

test('every option is taken', async () => {
  const options = {
    queueBytesMax: 2 ** 20,
    syncPolicy: 'always',
    writeRetryTimeoutMs: Infinity,
    closeTimeoutMs: 1000,
    utc: true,
    rotateDaily: false,
    rotateBytes: 1,
    compression: 'zstd',
    retentionAgeMs: Infinity,
    retentionBytes: Infinity,
    manageForeign: true,
    timeMarks: true,
    inboxDirectory: null,
  }
  await withAppender(options, async appender => {
    assert.equal(appender.inboxPath, null)
    assert.equal(appender.recovered, null)
    await appender.send(EVENT)
    await appender.send(EVENT)
    await appender.rotate()
    await appender.waitForMaintenance()
    assert.equal(readdirSync(directory).filter(name => name.endsWith('.log.zst')).length, 2)
  })
  assert.deepEqual(lines(), [LINE, LINE])
})

test('a sealed file that needs a person is an error of its own', () =>
  withAppender({ compression: 'gzip' }, async appender => {
    await appender.send(EVENT)
    await appender.flush()
    writeFileSync(appender.cdrPath + '.gz', gzipSync('other content'))
    await appender.rotate()
    await assert.rejects(appender.waitForMaintenance(), hasCode('SEALED_FILE'))
  }))

test('the event loop does not wait for a close', () => {
  const appender = new Appender(directory, { inboxDirectory, closeTimeoutMs: 4000 })
  // The close tries for four seconds.
  return withoutDisk(async () => {
    await appender.send(EVENT)
    const closing = assert.rejects(appender.close(), hasCode('IO'))
    let longestMs = 0
    for (let isOpen = true; isOpen; await new Promise(resolve => setTimeout(resolve, 10))) {
      const begin = performance.now()
      try {
        appender.stats()
      } catch (error) {
        assert.ok(hasCode('CLOSED')(error))
        isOpen = false
      }
      longestMs = Math.max(longestMs, performance.now() - begin)
    }
    assert.ok(longestMs < 2000, `it waited for ${longestMs} ms`)
    await closing
  })
})

test('sends that wait for room hold up no thread, no flush and no close', () => {
  const appenders = Array.from({ length: 4 }, (_, number) => {
    return new Appender(join(directory, `${number}`), { ...SMALL, inboxDirectory, closeTimeoutMs: 300 })
  })
  return withoutDisk(async () => {
    for (const appender of appenders) await fill(appender)
    const refused = appenders.map(appender => assert.rejects(appender.send(EVENT), hasCode('CLOSED')))
    // All threads of libuv would wait.
    assert.notEqual((await readFile(fileURLToPath(import.meta.url))).length, 0)
    for (const appender of appenders) {
      assert.equal(appender.trySend(EVENT), false)
      assert.throws(() => appender.trySend(7), TypeError)
      await assert.rejects(appender.send(7), TypeError)
      await assert.rejects(appender.sendAcked(7, 'written'), TypeError)
      await assert.rejects(appender.flush(), hasCode('IO'))
      refused.push(assert.rejects(appender.sendAcked(EVENT, 'written'), hasCode('CLOSED')))
      await assert.rejects(appender.close(), hasCode('IO'))
    }
    await Promise.all(refused)
  })
})

test('the end of the program does not wait for room', () => {
  const module = fileURLToPath(new URL('../index.js', import.meta.url))
  const child = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { execFileSync } from 'node:child_process'
       import { Appender } from ${JSON.stringify(module)}
       process.on('SIGXFSZ', () => {})
       const options = { ...${JSON.stringify(SMALL)}, inboxDirectory: null }
       const appender = new Appender(${JSON.stringify(directory)}, options)
       execFileSync('prlimit', ['--pid=' + process.pid, '--fsize=0:'])
       while (appender.trySend('{"event":"e"}') || appender.stats().write_errors === 0);
       for (let sent = 0; sent < 1000; sent++) appender.send('{"event":"e"}').catch(() => {})
       setTimeout(() => process.exit(7), 100)`,
    ],
    { timeout: 60_000, killSignal: 'SIGKILL' },
  )
  assert.equal(child.status, 7, `${child.signal} ${child.stderr}`)
})

test('an appender that is closed and forgotten is collected', async () => {
  const forgotten = await (async () => {
    const appender = new Appender(directory, { inboxDirectory, onNotice: () => appender })
    await Promise.all([appender.send(EVENT), appender.sendAcked(EVENT, 'written')])
    await appender.close()
    return new WeakRef(appender)
  })()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  for (let round = 0; round < 100 && forgotten.deref(); round++) {
    await sleep(10)
    collect()
  }
  assert.equal(forgotten.deref(), undefined)
})

test('a notice is given to the event loop', async () => {
  let tell
  const told = new Promise(resolve => (tell = resolve))
  await withAppender({ onNotice: tell }, async appender => {
    unlinkSync(appender.cdrPath)
    await appender.send(EVENT)
    await appender.rotate()
    const keepAlive = setInterval(() => {}, 1000)
    assert.match(await told, /CDR\./)
    clearInterval(keepAlive)
  })
})

test('a reader follows and goes on at a position', () =>
  withAppender({}, async appender => {
    const reader = new Reader(directory, { follow: true })
    assert.equal(reader.next(), null)
    appender.send(EVENT)
    appender.send(EVENT)
    for await (const line of reader) {
      assert.equal(String(line), LINE)
      break
    }
    const begin = reader.position
    await appender.flush()
    assert.deepEqual([...new Reader(directory, { begin }).lines()].map(String), [LINE])
    assert.throws(() => new Reader(directory, { begin: { ...begin, offset: 2 ** 40 } }), hasCode('NO_SUCH_POSITION'))
    const gone = { file: 'CDR.2001-01-01_00-00-00.log', offset: 7 }
    assert.throws(() => new Reader(directory, { begin: gone }), hasCode('POSITION_GONE'))
    assert.throws(() => new Reader('/nowhere/at/all'), hasCode('IO'))
    assert.throws(() => new Reader(directory, { begin: { ...begin, offset: -1 } }), hasCode('INVALID_ARGUMENT'))
  }))

test('the event loop does not wait for a reader that waits for a line', () =>
  withAppender({}, async appender => {
    await appender.send(EVENT)
    await appender.flush()
    const reader = new Reader(directory, { follow: true })
    assert.equal(String(reader.next()), LINE)
    const { position } = reader
    const following = reader[Symbol.asyncIterator]().next()
    const times = []
    for (let look = 0; look < 9; look++) {
      await sleep(10)
      const begin = performance.now()
      assert.deepEqual(reader.position, position)
      times.push(performance.now() - begin)
    }
    const median = times.sort((one, other) => one - other)[4]
    assert.ok(median < 50, `it waits for ${times} ms`)
    await appender.send(EVENT)
    assert.equal(String((await following).value), LINE)
    assert.equal(reader.position.offset, 2 * position.offset)
  }))

test('the rewriter needs no directory', () => {
  assert.equal(String(rewrite(EVENT)), LINE + '\n')
  assert.throws(() => rewrite('[]'), hasCode('REJECTED'))
  assert.throws(() => rewrite(EVENT, 5), hasCode('REJECTED'))
})
