-- The schema of `cdrlog ship`, version 2. Every statement can be run again.

CREATE TABLE IF NOT EXISTS cdr_schema (version int NOT NULL);

-- The last block of each stream of each node: the compare-and-swap of the protocol.
CREATE TABLE IF NOT EXISTS cdr_cursor (
    node text NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL,
    id text NOT NULL,
    through timestamptz,
    PRIMARY KEY (node, stream)
);

-- One row for each block; header is its exact text, of which id is the BLAKE3 hash.
CREATE TABLE IF NOT EXISTS cdr_block (
    node text NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    file text NOT NULL,
    birth text NOT NULL,
    lines bigint NOT NULL,
    cut timestamptz NOT NULL,
    header text NOT NULL,
    PRIMARY KEY (node, stream, seq)
);

-- How far an idle chain is complete: what the node took before through is in it up to the block seq. It
-- counts once that block is there and has this id. mark is its exact text.
CREATE TABLE IF NOT EXISTS cdr_watermark (
    node text NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL,
    id text NOT NULL,
    through timestamptz NOT NULL,
    mark text NOT NULL,
    PRIMARY KEY (node, stream)
);

-- Which node shipped the files that begin with a line of this hash first.
CREATE TABLE IF NOT EXISTS cdr_birth (
    birth text PRIMARY KEY,
    node text NOT NULL
);

-- One row for each line. line is the exact text without its line feed; raw has it instead where it is
-- not UTF-8. body is the object under the name of the event, and null where jsonb cannot hold it.
CREATE TABLE IF NOT EXISTS cdr_event (
    node text NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL,
    line_number int NOT NULL,
    file text NOT NULL,
    birth text NOT NULL,
    file_offset bigint NOT NULL,
    cut timestamptz NOT NULL,
    event text,
    session text,
    at timestamptz,
    line text,
    raw bytea,
    body jsonb,
    PRIMARY KEY (node, stream, seq, line_number, cut)
) PARTITION BY RANGE (cut);

CREATE TABLE IF NOT EXISTS cdr_event_default PARTITION OF cdr_event DEFAULT;
CREATE INDEX IF NOT EXISTS cdr_event_session ON cdr_event (session, at);
CREATE INDEX IF NOT EXISTS cdr_event_at ON cdr_event (at);

-- A number, or a string that is one, as LiveKit writes its 64-bit integers.
CREATE OR REPLACE FUNCTION cdr_number(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value #>> '{}' ~ '^-?[0-9]{1,18}([.][0-9]{1,9})?$' THEN (value #>> '{}')::numeric END
$$;

-- A time from seconds since 1970; null where no calendar has it.
CREATE OR REPLACE FUNCTION cdr_time(seconds numeric) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN seconds BETWEEN 1 AND 253402300799 THEN to_timestamp(seconds::double precision) END
$$;

-- Sessions that ended, of OpenVidu 2 and of LiveKit.
CREATE OR REPLACE VIEW cdr_session AS
SELECT node, session,
    coalesce(body ->> 'uniqueSessionId', body #>> '{room,sid}') AS unique_session,
    coalesce(cdr_time(cdr_number(body -> 'startTime') / 1000), cdr_time(cdr_number(body #> '{room,creationTime}'))) AS began,
    at AS ended,
    coalesce(
        cdr_number(body -> 'duration'),
        extract(epoch FROM at) - cdr_number(body #> '{room,creationTime}')
    ) AS seconds,
    body ->> 'reason' AS reason,
    seq, line_number
FROM cdr_event
WHERE stream = 'lines' AND event IN ('sessionDestroyed', 'room_finished');

-- Stays of participants that ended, of OpenVidu 2 and of LiveKit.
CREATE OR REPLACE VIEW cdr_participant AS
SELECT node, session,
    coalesce(body ->> 'uniqueSessionId', body #>> '{room,sid}') AS unique_session,
    coalesce(body ->> 'participantId', body ->> 'connectionId', body #>> '{participant,sid}') AS participant,
    coalesce(body #>> '{participant,identity}', body ->> 'clientData') AS identity,
    coalesce(cdr_time(cdr_number(body -> 'startTime') / 1000), cdr_time(cdr_number(body #> '{participant,joinedAt}'))) AS joined,
    at AS "left",
    coalesce(
        cdr_number(body -> 'duration'),
        extract(epoch FROM at) - cdr_number(body #> '{participant,joinedAt}')
    ) AS seconds,
    coalesce(body ->> 'reason', body #>> '{participant,disconnectReason}') AS reason,
    seq, line_number
FROM cdr_event
WHERE stream = 'lines' AND event IN ('participantLeft', 'participant_left');

-- A partition for each month from the last one to a year from now. What has none goes to the default one.
DO $$
DECLARE
    month timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC' - interval '1 month') AT TIME ZONE 'UTC';
    following timestamptz;
    name text;
BEGIN
    FOR step IN 0..13 LOOP
        following := (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
        name := 'cdr_event_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL
            AND NOT EXISTS (SELECT FROM cdr_event_default WHERE cut >= month AND cut < following)
        THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF cdr_event FOR VALUES FROM (%L) TO (%L)', name, month, following);
        END IF;
        month := following;
    END LOOP;
END
$$;

INSERT INTO cdr_schema SELECT 2 WHERE NOT EXISTS (SELECT FROM cdr_schema);
UPDATE cdr_schema SET version = 2 WHERE version < 2;
