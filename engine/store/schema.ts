/**
 * The tables of a store. What each column is for is said in migrations.ts, where it was added.
 *
 * @module
 */

/** "StpW": marks a SQLite file as one of ours (`PRAGMA application_id`). */
export const APPLICATION_ID = 0x53747057;

/** The version of the schema that this code reads and writes (`PRAGMA user_version`). */
export const SCHEMA_VERSION = 4;

/**
 * The schema of a new file: to the letter what the migrations lead to, as SQLite writes it down, which takes a fifth of the
 * time. A test holds the two together; where they differ, it writes what this should be.
 */
export const TABLES = `
CREATE TABLE workflows (
    workflow INTEGER PRIMARY KEY,      -- the short key that other tables use
    workflow_id TEXT NOT NULL UNIQUE,  -- the caller's name for it
    name TEXT NOT NULL,                -- the workflow's name in the code
    status TEXT NOT NULL,              -- pending running waiting completed failed cancelled blocked
    run INTEGER,                       -- the run that owns it, or owned it last
    executor INTEGER,                  -- the process of that run; null when nobody owns it
    recoveries INTEGER NOT NULL DEFAULT 0,        -- takeovers from a lost process since the last new checkpoint
    recovered_completion INTEGER,      -- the last completion there was at the last takeover
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,       -- when the status last changed
    completed_at INTEGER,              -- when it was completed or failed
    output_json TEXT,                  -- completed: its output; null is undefined
    error_json TEXT,                   -- failed: its error; blocked: the reason
    checksum INTEGER                   -- of the outcome: CRC-32, see rows.ts
  , due_at INTEGER, retried_at INTEGER, queue INTEGER, partition TEXT, ready_at INTEGER, rank INTEGER, placed INTEGER, begun_at INTEGER, deduplication_key TEXT, debounce_key TEXT, throttle_key TEXT, version TEXT NOT NULL DEFAULT '', line INTEGER);
CREATE TABLE inputs (
    workflow INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,             -- of what the workflow draws at random
    input_json TEXT,                   -- null is undefined
    checksum INTEGER NOT NULL
  , version TEXT, deadline_at INTEGER, parent_id TEXT, detached INTEGER NOT NULL DEFAULT 0, forked_from TEXT, forked_at INTEGER, unchecked INTEGER NOT NULL DEFAULT 0, begun_at INTEGER);
CREATE TABLE checkpoints (
    checkpoint INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL,
    step_key TEXT NOT NULL,            -- id#000001
    kind INTEGER NOT NULL,             -- 0 step
    status INTEGER NOT NULL,           -- 0 running, 1 completed, 2 failed, 3 retried, 4 kept: see rows.ts
    completion INTEGER,                -- the place in the order in which the workflow saw outcomes, from 1
    attempt INTEGER NOT NULL,          -- from 1
    started_at INTEGER NOT NULL,       -- of this attempt
    duration_ms INTEGER,               -- of this attempt, once it ended
    next_attempt_at INTEGER,           -- running, and waiting for another attempt: when it is due
    run INTEGER NOT NULL,              -- the run that wrote the row
    output_json TEXT,                  -- null is undefined
    error_json TEXT,
    checksum INTEGER NOT NULL
  , topic TEXT);
CREATE UNIQUE INDEX checkpoints_in_order ON checkpoints (workflow, completion);
CREATE INDEX checkpoints_running ON checkpoints (workflow, step_key) WHERE completion IS NULL;
CREATE TABLE executors (
    executor INTEGER PRIMARY KEY,
    lease_until INTEGER NOT NULL
  , pid INTEGER, started_at INTEGER, host TEXT, codes TEXT, is_working INTEGER, queues TEXT);
CREATE TABLE wal_growth (counter INTEGER NOT NULL);
CREATE INDEX inputs_of_children ON inputs (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE messages (
    message INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,         -- whom it is for; there need not be such a workflow yet
    topic TEXT NOT NULL,               -- signal:NAME, child:ID (it has ended), cancel, pause
    payload_json TEXT,                 -- null is undefined; taken out once the message is consumed
    idempotency_key TEXT,              -- another message with the same topic and key is this one
    sent_at INTEGER NOT NULL,
    consumed INTEGER,                  -- the completion that it became; null while it is kept
    checksum INTEGER NOT NULL
  );
CREATE INDEX messages_kept ON messages (workflow_id, topic) WHERE consumed IS NULL;
CREATE UNIQUE INDEX messages_once ON messages (workflow_id, topic, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE VIEW signals AS
  SELECT message AS signal, workflow_id, substr(topic, 8) AS name, payload_json, idempotency_key, sent_at, consumed
  FROM messages WHERE topic LIKE 'signal:%';
CREATE TABLE patches (
    workflow INTEGER NOT NULL,
    change_id TEXT NOT NULL,
    run INTEGER NOT NULL,              -- the run that took it up
    at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workflow, change_id)
  ) WITHOUT ROWID;
CREATE TABLE published (
    workflow INTEGER NOT NULL,
    key TEXT NOT NULL,
    value_json TEXT,                   -- null is undefined
    published_at INTEGER NOT NULL,
    completion INTEGER NOT NULL,       -- that of the checkpoint which it was committed with
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workflow, key)
  );
CREATE TABLE emitted (
    workflow INTEGER NOT NULL,
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,         -- from 0
    value_json TEXT,                   -- null is undefined
    emitted_at INTEGER NOT NULL,
    completion INTEGER NOT NULL,       -- that of the checkpoint which it was committed with: it rises with the position
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workflow, stream, position)
  ) WITHOUT ROWID;
CREATE TABLE queues (
    queue INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,               -- how many of its workflows are under way at a time; null is any number
    executor_concurrency INTEGER,      -- how many of them run in one process
    partition_concurrency INTEGER,     -- how many of them are under way of one partition
    rate_limit INTEGER,                -- how many get a place in a period
    rate_period_ms INTEGER,
    max_depth INTEGER NOT NULL,        -- how many may wait to begin
    ageing_ms INTEGER NOT NULL,        -- who has waited for so much longer is equal to one of the next higher priority
    paused_at INTEGER,                 -- none gets a place since then
    depth INTEGER NOT NULL DEFAULT 0   -- how many are in line; triggers keep it so
  );
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,            -- the workflow that each tick starts, as the inputs have it
    version TEXT,
    timeout_ms INTEGER,
    input_json TEXT,                   -- null is undefined, or an input that code makes of the tick
    makes_input INTEGER NOT NULL,      -- 1 where it does
    cron TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    missed TEXT NOT NULL,              -- skip latest all
    overlap TEXT NOT NULL,             -- allow skip queue
    queue TEXT,                        -- the name of the queue that the workflows are put into
    paused_at INTEGER,
    from_at INTEGER NOT NULL,          -- the ticks after this are yet to come
    next_tick_at INTEGER,
    last_tick_at INTEGER,
    last_workflow INTEGER,             -- the workflow that was started last
    definer INTEGER,                   -- the executor whose definition this is
    ticker INTEGER,                    -- who saw to the last tick: a number at random
    checksum INTEGER NOT NULL          -- of what the workflows are started with
  ) WITHOUT ROWID;
CREATE INDEX workflows_placed ON workflows (queue, partition) WHERE placed = 1;
CREATE UNIQUE INDEX workflows_deduplicated ON workflows (queue, deduplication_key)
    WHERE deduplication_key IS NOT NULL AND status IN ('pending', 'running', 'waiting', 'blocked');
CREATE UNIQUE INDEX workflows_debounced ON workflows (queue, debounce_key)
    WHERE debounce_key IS NOT NULL AND status IN ('pending', 'waiting') AND run IS NULL;
CREATE INDEX workflows_throttled ON workflows (queue, throttle_key, created_at) WHERE throttle_key IS NOT NULL;
CREATE TABLE placements (
    queue INTEGER NOT NULL,
    at INTEGER NOT NULL
  );
CREATE INDEX placements_in_order ON placements (queue, at);
CREATE TABLE lines (
    line INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    partition TEXT NOT NULL,           -- '' for what is in no partition, and for all where the queue does not limit them
    name TEXT NOT NULL,                -- of the workflows, likewise the version
    version TEXT NOT NULL,
    waiting INTEGER NOT NULL,          -- how many are counted here
    head_rank INTEGER,                 -- the least rank of them; null while all are delayed
    is_full INTEGER NOT NULL           -- 1 while as many of the partition are under way as may be
  );
CREATE UNIQUE INDEX lines_of_partition ON lines (queue, partition, name, version);
CREATE INDEX lines_ready ON lines (name, version, queue, head_rank) WHERE head_rank IS NOT NULL AND is_full = 0;
CREATE INDEX workflows_pending ON workflows (name, version, workflow) WHERE status = 'pending' AND queue IS NULL;
CREATE INDEX workflows_due ON workflows (name, version, due_at, workflow)
    WHERE status = 'waiting' AND due_at IS NOT NULL AND queue IS NULL;
CREATE INDEX workflows_running ON workflows (executor, queue, name, version, workflow) WHERE status = 'running';
CREATE INDEX workflows_in_line ON workflows (line, status, rank, workflow) WHERE line IS NOT NULL;
CREATE INDEX workflows_delayed ON workflows (due_at, workflow)
    WHERE line IS NOT NULL AND status = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX workflows_released ON workflows (name, version, queue, workflow) WHERE placed = 1 AND status = 'pending';
CREATE INDEX workflows_due_placed ON workflows (name, version, queue, due_at, workflow)
    WHERE placed = 1 AND status = 'waiting' AND due_at IS NOT NULL;
CREATE VIEW steps AS
  SELECT w.workflow_id, c.step_key,
    CASE c.kind WHEN 0 THEN 'step' WHEN 1 THEN 'sleep' WHEN 2 THEN 'signal' WHEN 3 THEN 'child' WHEN 4 THEN 'cancel'
      WHEN 5 THEN 'compensation' WHEN 6 THEN 'publish' WHEN 7 THEN 'emit' WHEN 8 THEN 'transaction'
      WHEN 9 THEN 'cleanup' END AS kind,
    CASE c.status WHEN 0 THEN 'running' WHEN 1 THEN 'completed' WHEN 4 THEN 'completed' ELSE 'failed' END
      AS status,
    c.output_json, c.error_json, printf('r_%012x', c.run) AS run_id, c.attempt, c.started_at,
    c.started_at + c.duration_ms AS completed_at, c.next_attempt_at, c.completion, c.status = 3 AS retried, c.topic,
    c.checksum
  FROM checkpoints c JOIN workflows w ON w.workflow = c.workflow;
CREATE INDEX workflows_by_name ON workflows (name, status, workflow) WHERE status <> 'running';
CREATE INDEX checkpoints_ending ON checkpoints (workflow) WHERE kind IN (4, 5);
CREATE INDEX checkpoints_waiting ON checkpoints (workflow, topic) WHERE completion IS NULL AND topic IS NOT NULL;
CREATE INDEX messages_in_order ON messages (workflow_id, message) WHERE consumed IS NULL;
CREATE TABLE mailboxes (
    workflow_id TEXT PRIMARY KEY,      -- there need not be such a workflow yet
    counted INTEGER NOT NULL,          -- the last message that has been counted
    kept INTEGER NOT NULL              -- how many of those up to it are kept
  ) WITHOUT ROWID;
INSERT INTO wal_growth VALUES (0);
`;

/** The names of all that the store makes in a file that it may share with its user's tables: its tables, views and indexes. */
export function ownNames(): readonly string[] {
  names ??= Array.from(
    TABLES.matchAll(/^CREATE (?:UNIQUE )?(?:TABLE|VIEW|INDEX) (\w+)/gm),
    ([, name]) => name!,
  );
  return names;
}
let names: readonly string[] | undefined;

/**
 * The checksum of what SQLite knows of a new file of this version, see schema_check.ts: a file that has it need not be looked
 * at more closely. Where this is out of date, every opening takes longer, and a test says what it should be.
 */
export const SCHEMA_CHECKSUM = 252837302;
