-- One row: how far the log is indexed, and which log it was.
CREATE TABLE meta (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    indexed_to   INTEGER NOT NULL,
    identity_seq INTEGER NOT NULL,
    identity     BLOB
);
INSERT INTO meta VALUES (1, 0, 0, NULL);

-- Empty text stands for "none": NULLs are never equal to each other in an index.
CREATE TABLE kinds (
    id       INTEGER PRIMARY KEY,
    event    TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    provider TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    code     TEXT NOT NULL,
    status   INTEGER NOT NULL,
    method   TEXT NOT NULL,
    roles    TEXT NOT NULL,
    flags    INTEGER NOT NULL,
    rows     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (event, webhook, provider, outcome, code, status, method, roles, flags)
);

-- How many rows of a kind were received in a minute, and how many of them are the first of their delivery. Requests
-- that are not logged count too, also those that were pushed out of the ring since.
CREATE TABLE minutes (
    minute INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    rows   INTEGER NOT NULL,
    firsts INTEGER NOT NULL,
    PRIMARY KEY (minute, kind)
) WITHOUT ROWID;

-- Words and values of the deliveries from `first` to `last`, one document for some of them. `first` is the number of
-- the document.
CREATE VIRTUAL TABLE texts USING fts5 (words, content='', contentless_delete=1, detail=none, tokenize="ascii tokenchars '_'");
CREATE TABLE documents (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
);

-- Ids of resources in order, for wildcards, epoch by epoch. A text longer than the limit is cut; `whole` says so.
CREATE TABLE resources (
    epoch INTEGER NOT NULL,
    text  TEXT NOT NULL,
    print INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    PRIMARY KEY (epoch, text, print)
) WITHOUT ROWID;

-- `number` is the sequence number and the event's index, so rows and the first two indexes are appended to.
CREATE TABLE rows (
    number   INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL,
    resource INTEGER,
    received INTEGER NOT NULL,
    occurred INTEGER,
    event    INTEGER,
    delivery INTEGER NOT NULL,
    key      INTEGER,
    peer     INTEGER
);
CREATE INDEX rows_kind ON rows (kind);
CREATE INDEX rows_delivery ON rows (delivery);
-- What comes in no order is indexed epoch by epoch (EPOCH_BITS).
CREATE INDEX rows_resource ON rows (number >> 29, resource, kind) WHERE resource IS NOT NULL;
CREATE INDEX rows_event ON rows (number >> 29, event) WHERE event IS NOT NULL;
CREATE INDEX rows_key ON rows (number >> 29, key) WHERE key IS NOT NULL;

-- First and last row of each part of time (10 s): turns a range of time into a range of rows, whatever the clock did.
CREATE TABLE spans (
    field  INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (field, part)
) WITHOUT ROWID;

CREATE TABLE duplicates (
    seq   INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
);

-- Deliveries that were replayed, by their id, with the sequence numbers of their replays.
CREATE TABLE replays (
    original BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (original, seq)
) WITHOUT ROWID;

-- Requests that are not in the log. `door` stands for webhook and outcome.
CREATE TABLE ring (
    id       INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    door     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    key      INTEGER,
    peer     INTEGER,
    head     BLOB NOT NULL,
    request  BLOB NOT NULL,
    UNIQUE (seq, idx)
);
CREATE INDEX ring_door ON ring (door, seq, idx);
CREATE INDEX ring_delivery ON ring (delivery);
