/**
 * How the tables of a store have come about, version by version, with what each of their columns is for. A new file gets what
 * these lead to at once: see {@linkcode TABLES}. Times are milliseconds since 1970, durations milliseconds, ids of runs and
 * executors random integers that are shown as `r_` and twelve hexadecimal digits.
 *
 * @module
 */

/** Whether a row of a trigger waits in its queue for a place: SQL. */
function isInLine(row: "OLD" | "NEW"): string {
  return `${row}.placed IS NULL AND ${row}.status IN ('pending', 'waiting')`;
}

/** Whether the queue of a new row limits its partitions: SQL. */
const IS_LIMITED = "(SELECT partition_concurrency FROM queues WHERE queue = NEW.queue) IS NOT NULL";

const CANDIDATES =
  `workflows c WHERE c.queue = NEW.queue AND c.partition = NEW.partition AND c.code = NEW.code
  AND c.status = 'pending' AND c.placed IS NULL AND c.held IS NULL`;

/** Holds the last candidate of the partition and the code of a new row, where that makes one too many: SQL. */
const HOLD_LAST = `
    UPDATE workflows SET held = 1
    WHERE workflow = (SELECT c.workflow FROM ${CANDIDATES} ORDER BY c.rank DESC, c.workflow DESC LIMIT 1)
      AND (SELECT count(*) FROM ${CANDIDATES}) > (
        SELECT partition_concurrency FROM queues WHERE queue = NEW.queue);`;

/** The statements that lead from each version (`PRAGMA user_version`) to the next. Never changed, only added to. */
export const MIGRATIONS: readonly string[] = [
  `
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
  );
  CREATE INDEX workflows_in_trouble ON workflows (status) WHERE status IN ('failed', 'blocked');

  -- What a workflow was started with: apart from the row above, which changes while this does not.
  CREATE TABLE inputs (
    workflow INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,             -- of what the workflow draws at random
    input_json TEXT,                   -- null is undefined
    checksum INTEGER NOT NULL
  );

  -- The steps, in the order in which their rows were first written; the view "steps" is for reading.
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
  );
  CREATE UNIQUE INDEX checkpoints_in_order ON checkpoints (workflow, completion);
  CREATE INDEX checkpoints_running ON checkpoints (workflow, step_key) WHERE completion IS NULL;

  -- The processes that own workflows: their lock (see process_lock.ts) tells whether they live, this for how long a
  -- process that lives but does not answer keeps what it owns.
  CREATE TABLE executors (
    executor INTEGER PRIMARY KEY,
    lease_until INTEGER NOT NULL
  );

  -- Written to only to make the write-ahead log grow, see wal.ts.
  CREATE TABLE wal_growth (counter INTEGER NOT NULL);
  INSERT INTO wal_growth VALUES (0);

  CREATE VIEW steps AS
  SELECT w.workflow_id, c.step_key,
    CASE c.kind WHEN 0 THEN 'step' END AS kind,
    CASE c.status WHEN 0 THEN 'running' WHEN 1 THEN 'completed' WHEN 4 THEN 'completed' ELSE 'failed' END
      AS status,
    c.output_json, c.error_json, printf('r_%012x', c.run) AS run_id, c.attempt, c.started_at,
    c.started_at + c.duration_ms AS completed_at, c.next_attempt_at, c.completion, c.status = 3 AS retried, c.checksum
  FROM checkpoints c JOIN workflows w ON w.workflow = c.workflow;
  `,
  `
  -- A workflow that is waiting: when it is to be looked at; null where only a message can move it on.
  ALTER TABLE workflows ADD COLUMN due_at INTEGER;
  ALTER TABLE workflows ADD COLUMN retried_at INTEGER;  -- when it was last retried: its time begins anew then
  CREATE INDEX workflows_due ON workflows (due_at) WHERE status = 'waiting' AND due_at IS NOT NULL;

  CREATE INDEX workflows_pending ON workflows (workflow) WHERE status = 'pending';
  CREATE INDEX workflows_running ON workflows (executor) WHERE status = 'running';

  ALTER TABLE inputs ADD COLUMN version TEXT;         -- of the workflow's code
  ALTER TABLE inputs ADD COLUMN deadline_at INTEGER;  -- when it is cut off
  ALTER TABLE inputs ADD COLUMN parent_id TEXT;       -- the id of the workflow that started it
  ALTER TABLE inputs ADD COLUMN detached INTEGER NOT NULL DEFAULT 0;  -- whether it does not end with that one
  ALTER TABLE inputs ADD COLUMN forked_from TEXT;     -- the id of the workflow whose checkpoints it began with
  ALTER TABLE inputs ADD COLUMN forked_at INTEGER;    -- when; its deadline is counted from here
  CREATE INDEX inputs_of_children ON inputs (parent_id) WHERE parent_id IS NOT NULL;

  -- running, and waiting for a message: its topic. From here on a kind may be more than a step: see KINDS in rows.ts.
  ALTER TABLE checkpoints ADD COLUMN topic TEXT;

  -- What workflows are told from outside, in the order in which it was committed; the view "signals" is for reading.
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

  -- The changes of its code that a workflow has taken up, see ctx.patched().
  CREATE TABLE patches (
    workflow INTEGER NOT NULL,
    change_id TEXT NOT NULL,
    run INTEGER NOT NULL,              -- the run that took it up
    at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workflow, change_id)
  ) WITHOUT ROWID;

  -- What workflows show of themselves: the latest value under each key.
  CREATE TABLE published (
    workflow INTEGER NOT NULL,
    key TEXT NOT NULL,
    value_json TEXT,                   -- null is undefined
    published_at INTEGER NOT NULL,
    completion INTEGER NOT NULL,       -- that of the checkpoint which it was committed with
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workflow, key)
  );

  -- The streams of workflows. A position is the next one when its row is committed: so there are no gaps, and who has
  -- read up to one has seen all that is before it. In the order of its key, which saves a page a commit.
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

  DROP VIEW steps;
  CREATE VIEW steps AS
  SELECT w.workflow_id, c.step_key,
    CASE c.kind WHEN 0 THEN 'step' WHEN 1 THEN 'sleep' WHEN 2 THEN 'signal' WHEN 3 THEN 'child' WHEN 4 THEN 'cancel'
      WHEN 5 THEN 'compensation' WHEN 6 THEN 'publish' WHEN 7 THEN 'emit' WHEN 8 THEN 'transaction' END AS kind,
    CASE c.status WHEN 0 THEN 'running' WHEN 1 THEN 'completed' WHEN 4 THEN 'completed' ELSE 'failed' END
      AS status,
    c.output_json, c.error_json, printf('r_%012x', c.run) AS run_id, c.attempt, c.started_at,
    c.started_at + c.duration_ms AS completed_at, c.next_attempt_at, c.completion, c.status = 3 AS retried, c.topic,
    c.checksum
  FROM checkpoints c JOIN workflows w ON w.workflow = c.workflow;
  `,
  `
  ALTER TABLE executors ADD COLUMN pid INTEGER;         -- of its process, on its machine
  ALTER TABLE executors ADD COLUMN started_at INTEGER;  -- when it took its first workflow

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

  -- Of a workflow that was put into a queue. It has its place there, of which there may be only so many, from its beginning
  -- to its end, or until it is blocked; until then, it is in line.
  ALTER TABLE workflows ADD COLUMN queue INTEGER;
  ALTER TABLE workflows ADD COLUMN code TEXT;              -- the name and the version of its code, as JSON
  ALTER TABLE workflows ADD COLUMN partition TEXT;         -- of one in a queue that is divided
  ALTER TABLE workflows ADD COLUMN ready_at INTEGER;       -- when it is its turn at the earliest
  ALTER TABLE workflows ADD COLUMN rank INTEGER;           -- the least begins first: ready_at, less for a higher priority
  ALTER TABLE workflows ADD COLUMN placed INTEGER;         -- 1 while it has its place
  ALTER TABLE workflows ADD COLUMN held INTEGER;           -- 1 in line, while enough of its partition are before it
  ALTER TABLE workflows ADD COLUMN begun_at INTEGER;       -- when it got its place
  ALTER TABLE workflows ADD COLUMN deduplication_key TEXT; -- one that has not ended stands for all with this key
  ALTER TABLE workflows ADD COLUMN debounce_key TEXT;      -- one that has not begun does
  ALTER TABLE workflows ADD COLUMN throttle_key TEXT;      -- the last one does for a while
  CREATE INDEX workflows_in_line ON workflows (queue, code, rank, workflow)
    WHERE queue IS NOT NULL AND status = 'pending' AND placed IS NULL AND held IS NULL;
  CREATE INDEX workflows_in_partition ON workflows (queue, partition, code, held, rank, workflow)
    WHERE partition IS NOT NULL AND status = 'pending' AND placed IS NULL;
  CREATE INDEX workflows_placed ON workflows (queue, partition) WHERE placed = 1;
  CREATE INDEX workflows_released ON workflows (queue, workflow) WHERE placed = 1 AND status = 'pending';
  CREATE UNIQUE INDEX workflows_deduplicated ON workflows (queue, deduplication_key)
    WHERE deduplication_key IS NOT NULL AND status IN ('pending', 'running', 'waiting', 'blocked');
  CREATE UNIQUE INDEX workflows_debounced ON workflows (queue, debounce_key)
    WHERE debounce_key IS NOT NULL AND status IN ('pending', 'waiting') AND run IS NULL;
  CREATE INDEX workflows_throttled ON workflows (queue, throttle_key, created_at) WHERE throttle_key IS NOT NULL;

  -- 1 where it was given without the workflow's code, whose schema has yet to look at it
  ALTER TABLE inputs ADD COLUMN unchecked INTEGER NOT NULL DEFAULT 0;

  DROP INDEX workflows_pending;
  CREATE INDEX workflows_pending ON workflows (workflow) WHERE status = 'pending' AND queue IS NULL;

  -- When places were given in queues with a rate, as far back as its period and a minute: who commits late may have looked at
  -- the clock that long before, and counts those of the period before that.
  CREATE TABLE placements (
    queue INTEGER NOT NULL,
    at INTEGER NOT NULL
  );
  CREATE INDEX placements_in_order ON placements (queue, at);
  CREATE TRIGGER place_given AFTER UPDATE OF placed ON workflows
  WHEN NEW.placed = 1 AND OLD.placed IS NULL AND (SELECT rate_limit FROM queues WHERE queue = NEW.queue) IS NOT NULL
  BEGIN
    DELETE FROM placements WHERE queue = NEW.queue
      AND at <= NEW.begun_at - 60000 - (SELECT rate_period_ms FROM queues WHERE queue = NEW.queue);
    INSERT INTO placements (queue, at) VALUES (NEW.queue, NEW.begun_at);
  END;

  -- Who ends, or is blocked, gives up its place.
  CREATE TRIGGER place_left AFTER UPDATE OF status ON workflows
  WHEN NEW.placed = 1 AND NEW.status NOT IN ('pending', 'running', 'waiting')
  BEGIN UPDATE workflows SET placed = NULL WHERE workflow = NEW.workflow; END;

  CREATE TRIGGER line_joined AFTER INSERT ON workflows
  WHEN NEW.queue IS NOT NULL AND ${isInLine("NEW")}
  BEGIN UPDATE queues SET depth = depth + 1 WHERE queue = NEW.queue; END;
  CREATE TRIGGER line_rejoined AFTER UPDATE OF status, placed ON workflows
  WHEN NEW.queue IS NOT NULL AND ${isInLine("NEW")} AND NOT (${isInLine("OLD")})
  BEGIN UPDATE queues SET depth = depth + 1 WHERE queue = NEW.queue; END;
  CREATE TRIGGER line_left AFTER UPDATE OF status, placed ON workflows
  WHEN OLD.queue IS NOT NULL AND ${isInLine("OLD")} AND NOT (${isInLine("NEW")})
  BEGIN UPDATE queues SET depth = depth - 1 WHERE queue = OLD.queue; END;

  -- Of a partition no more of each code are candidates than may be under way, those of the least rank; the others are held.
  -- So who looks for one to begin passes over no more than there are full partitions, however many wait in them.
  CREATE TRIGGER partition_joined AFTER INSERT ON workflows
  WHEN NEW.partition IS NOT NULL AND NEW.status = 'pending' AND ${IS_LIMITED}
  BEGIN ${HOLD_LAST} END;
  CREATE TRIGGER partition_rejoined AFTER UPDATE OF status ON workflows
  WHEN NEW.partition IS NOT NULL AND NEW.status = 'pending' AND NEW.placed IS NULL AND OLD.status <> 'pending'
    AND ${IS_LIMITED}
  BEGIN ${HOLD_LAST} END;
  CREATE TRIGGER partition_left AFTER UPDATE OF status ON workflows
  WHEN OLD.partition IS NOT NULL AND OLD.status = 'pending' AND OLD.placed IS NULL AND NEW.status <> 'pending'
  BEGIN
    UPDATE workflows SET held = NULL WHERE workflow = CASE WHEN OLD.held = 1 THEN OLD.workflow ELSE (
      SELECT c.workflow FROM workflows c
      WHERE c.queue = OLD.queue AND c.partition = OLD.partition AND c.code = OLD.code AND c.status = 'pending'
        AND c.placed IS NULL AND c.held = 1
      ORDER BY c.rank, c.workflow LIMIT 1
    ) END;
  END;
  `,
  `
  DROP TRIGGER place_given;
  DROP TRIGGER place_left;
  DROP TRIGGER line_joined;
  DROP TRIGGER line_rejoined;
  DROP TRIGGER line_left;
  DROP TRIGGER partition_joined;
  DROP TRIGGER partition_rejoined;
  DROP TRIGGER partition_left;
  DROP INDEX workflows_due;
  DROP INDEX workflows_pending;
  DROP INDEX workflows_running;
  DROP INDEX workflows_in_line;
  DROP INDEX workflows_in_partition;
  DROP INDEX workflows_released;
  ALTER TABLE workflows DROP COLUMN held;
  ALTER TABLE workflows DROP COLUMN code;

  -- Of its code, as the inputs have it; '' for code without a version. With the name, by which a worker finds its own.
  ALTER TABLE workflows ADD COLUMN version TEXT NOT NULL DEFAULT '';
  UPDATE workflows SET version = (SELECT i.version FROM inputs i WHERE i.workflow = workflows.workflow)
    WHERE workflow IN (SELECT i.workflow FROM inputs i WHERE i.version IS NOT NULL);

  -- What waits in queues to begin, by queue, partition and code. A row is there while a workflow is counted in it; each batch
  -- that changes what waits, or what is under way, brings the rows that it is about up to date.
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
  ALTER TABLE workflows ADD COLUMN line INTEGER;  -- the line that it is counted in

  INSERT INTO lines (queue, partition, name, version, waiting, head_rank, is_full)
  SELECT w.queue, CASE WHEN q.partition_concurrency IS NULL THEN '' ELSE coalesce(w.partition, '') END AS part, w.name,
    w.version, count(*), min(CASE WHEN w.status = 'pending' THEN w.rank END),
    CASE WHEN w.partition IS NULL OR q.partition_concurrency IS NULL THEN 0
      ELSE (SELECT count(*) FROM workflows u WHERE u.placed = 1 AND u.queue = w.queue AND u.partition = w.partition)
        >= q.partition_concurrency END
  FROM workflows w JOIN queues q ON q.queue = w.queue
  WHERE w.placed IS NULL AND w.status IN ('pending', 'waiting') GROUP BY w.queue, part, w.name, w.version;
  UPDATE workflows SET line = (
      SELECT l.line FROM lines l JOIN queues q ON q.queue = l.queue
      WHERE l.queue = workflows.queue AND l.name = workflows.name AND l.version = workflows.version
        AND l.partition = CASE WHEN q.partition_concurrency IS NULL THEN '' ELSE coalesce(workflows.partition, '') END)
    WHERE queue IS NOT NULL AND placed IS NULL AND status IN ('pending', 'waiting');

  -- Each begins with what a worker knows its own by: what is not its own, however much of it there is, costs nothing.
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

  ALTER TABLE executors ADD COLUMN host TEXT;           -- the name of its machine, where it may know that
  ALTER TABLE executors ADD COLUMN codes TEXT;          -- the names and versions of the code it has, as JSON
  ALTER TABLE executors ADD COLUMN is_working INTEGER;  -- 1 where it claims what no process runs
  ALTER TABLE executors ADD COLUMN queues TEXT;         -- the names of the queues it works on, as JSON; null for all

  -- When the first run began, where that was not when the workflow was made; null for those of before there was this.
  ALTER TABLE inputs ADD COLUMN begun_at INTEGER;

  -- A kind may be a cleanup: see KINDS in rows.ts.
  DROP VIEW steps;
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

  -- The newest workflows of a name and a status. Without those that run, so that a quick workflow comes into it once.
  DROP INDEX workflows_in_trouble;
  CREATE INDEX workflows_by_name ON workflows (name, status, workflow) WHERE status <> 'running';

  -- That a workflow was told that it is cancelled or out of time, or has begun to undo its steps.
  CREATE INDEX checkpoints_ending ON checkpoints (workflow) WHERE kind IN (4, 5);
  -- What a workflow waits for, by the topic of the message.
  CREATE INDEX checkpoints_waiting ON checkpoints (workflow, topic) WHERE completion IS NULL AND topic IS NOT NULL;

  -- The messages that are kept for a workflow, in their order: those after a certain one are new.
  CREATE INDEX messages_in_order ON messages (workflow_id, message) WHERE consumed IS NULL;
  -- How many messages are kept for whom signals are sent. They are counted when the next signal is sent, in its batch, by
  -- the row of whom it is for: so many are kept up to and with a certain message, and those after it have yet to be counted.
  CREATE TABLE mailboxes (
    workflow_id TEXT PRIMARY KEY,      -- there need not be such a workflow yet
    counted INTEGER NOT NULL,          -- the last message that has been counted
    kept INTEGER NOT NULL              -- how many of those up to it are kept
  ) WITHOUT ROWID;
  `,
];
