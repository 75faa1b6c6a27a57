/** Why a call failed; the message is a sentence that names the file, argument or option concerned. */
export class CdrlogError extends Error {
  code:
    | 'CLOSED'
    | 'INVALID_ARGUMENT'
    | 'LOCKED'
    | 'DAMAGED'
    | 'IO'
    | 'SYNC_FAILED'
    | 'REJECTED'
    | 'LINE_TOO_LONG'
    | 'NO_SUCH_POSITION'
    | 'POSITION_GONE'
    | 'SEALED_FILE'
}

/** Options of an appender. Those that are missing keep their defaults; Infinity is no limit. */
export interface Options {
  queueEventsMax?: number
  queueBytesMax?: number
  eventBytesMax?: number
  segmentCount?: number
  segmentBytes?: number
  flushIntervalMs?: number
  /** When written lines are synced; a number is an interval in milliseconds. Default: 1000. */
  syncPolicy?: 'never' | 'always' | number
  writeRetryTimeoutMs?: number
  closeTimeoutMs?: number
  utc?: boolean
  rotateDaily?: boolean
  rotateBytes?: number
  compression?: 'none' | 'zstd' | 'gzip'
  retentionAgeMs?: number
  retentionBytes?: number
  manageForeign?: boolean
  /** Notes on the disk, once a second, up to which time all that was accepted is synced, for programs that ship the
   *  directory elsewhere. */
  timeMarks?: boolean
  /** The directory in which accepted events outlive the process; null: they do not. Default: /dev/shm. */
  inboxDirectory?: string | null
  /** Is called with what an operator should know, as a sentence for the log. */
  onNotice?: (message: string) => void
}

/** Where the line of an event is. */
export interface Position {
  file: string
  offset: number
  lineBytes: number
}

/** An event, the body of a webhook. A string costs a copy more than bytes. */
export type Event = string | Uint8Array

/** An open directory. It must be closed. */
export class Appender {
  /** Opens the directory, and writes what an earlier process left. Throws CdrlogError. */
  constructor(directory: string, options?: Options)
  /** Sends an event. Once the promise is resolved, the event outlives the process. While there is room in the queue
   *  that is so when this returns; otherwise a timer tries again: neither the event loop nor a thread waits. Rejects
   *  with CLOSED if the appender is closed before there is room. */
  send(event: Event): Promise<void>
  /** Sends an event if there is room: false if not, and then it was not taken. */
  trySend(event: Event): boolean
  /** Resolves once the event has reached this level: it outlives the process, readers see it, it survives a power
   *  loss. Rejects with REJECTED if the body is not an event. */
  sendAcked(event: Event, durability: 'journaled' | 'written' | 'synced'): Promise<Position>
  /** Resolves once everything sent before is written: readers see it. Rejects with IO while writes fail: they are
   *  retried, and a later call may resolve. */
  flush(): Promise<void>
  /** Resolves once everything sent before survives a power loss. */
  sync(): Promise<void>
  /** Starts new files after everything sent before. */
  rotate(): Promise<void>
  /** Resolves once sealed files are listed, compressed, and the oldest removed: maybe minutes. */
  waitForMaintenance(): Promise<void>
  /** Writes and syncs everything that was accepted. After an error, what could not be written is in the journal and
   *  the inbox, and the next open writes it. A second close does nothing. */
  close(): Promise<void>
  /** All counters since the open. */
  stats(): Record<string, number>
  readonly cdrPath: string
  readonly rejectsPath: string
  /** null if there is none, and accepted events do not outlive the process. */
  readonly inboxPath: string | null
  /** What the open repaired after a process that did not close; null if nothing. */
  readonly recovered: string | null
}

export interface ReaderOptions {
  /** Reads rejected bodies and not the CDR. */
  rejects?: boolean
  /** Lines that are written later are returned too. */
  follow?: boolean
  /** Where to begin, as `position` gave it. */
  begin?: { file: string; offset: number }
}

/** Gives the lines of a CDR directory, oldest first, each once, compressed or not, without their line feeds. */
export class Reader implements AsyncIterable<Buffer> {
  constructor(directory: string, options?: ReaderOptions)
  /** The next line; null if there is none, or none yet. Null too while the asynchronous iterator waits for one. */
  next(): Buffer | null
  /** The lines that are there. */
  lines(): IterableIterator<Buffer>
  /** All lines; if the reader follows, it waits for new ones and never ends. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer>
  /** Where the next line starts: save it, and begin there later. */
  readonly position: { file: string; offset: number } | null
}

/** The CDR line of an event with its line feed, without files and threads. Throws REJECTED. */
export function rewrite(event: Event, eventBytesMax?: number): Buffer
