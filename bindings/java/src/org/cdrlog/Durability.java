package org.cdrlog;

/** A level that an event reaches. */
public enum Durability {
    /** It outlives the process, but not a power loss. */
    JOURNALED,
    /** Readers see it; it survives the same. */
    WRITTEN,
    /** It survives a power loss too. */
    SYNCED
}
