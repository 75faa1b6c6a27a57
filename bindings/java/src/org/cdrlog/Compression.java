package org.cdrlog;

/** How sealed files are compressed. */
public enum Compression {
    /** Not at all. */
    NONE,
    /** zstd, level 3, with a checksum. */
    ZSTD,
    /** gzip, level 6. Slower and larger than zstd. */
    GZIP
}
