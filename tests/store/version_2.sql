-- A store as schema version 2 wrote it: dumped from a file of the last code that had no other.
BEGIN TRANSACTION;
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
  , due_at INTEGER, retried_at INTEGER);
INSERT INTO workflows VALUES(1,'two','two','waiting',72168411765025,NULL,0,NULL,1767225600000,1767225601000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(2,'sleeper','sleeper','waiting',109496833307641,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,1767229200000,NULL);
INSERT INTO workflows VALUES(3,'parent','parent','waiting',31293057239492,NULL,0,NULL,1767225600000,1767225601010,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(4,'child','two','waiting',78514476538122,NULL,0,NULL,1767225600000,1767225601030,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE inputs (
    workflow INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,             -- of what the workflow draws at random
    input_json TEXT,                   -- null is undefined
    checksum INTEGER NOT NULL
  , version TEXT, deadline_at INTEGER, parent_id TEXT, detached INTEGER NOT NULL DEFAULT 0, forked_from TEXT, forked_at INTEGER);
INSERT INTO inputs VALUES(1,61133899806082,'2',-97923408,'1',NULL,NULL,0,NULL,NULL);
INSERT INTO inputs VALUES(2,2016359248784,NULL,-974540007,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO inputs VALUES(3,33865569878490,NULL,-1030840889,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO inputs VALUES(4,32178157678290,'3',-354571374,'1',NULL,'parent',0,NULL,NULL);
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
INSERT INTO checkpoints VALUES(1,1,'first#000001',0,1,1,1,1767225600000,0,NULL,72168411765025,'2',NULL,-1295525607,NULL);
INSERT INTO checkpoints VALUES(2,2,'before#000001',0,1,1,1,1767225600000,0,NULL,109496833307641,'"b"',NULL,-1170126537,NULL);
INSERT INTO checkpoints VALUES(3,1,'signal:go#000001',2,0,NULL,1,1767225600000,NULL,NULL,72168411765025,NULL,NULL,-182864753,'signal:go');
INSERT INTO checkpoints VALUES(4,3,'child:two#000001',3,0,NULL,1,1767225600000,NULL,NULL,31293057239492,NULL,NULL,1865946389,'child:child');
INSERT INTO checkpoints VALUES(5,2,'sleep#000001',1,0,NULL,1,1767225600000,NULL,1767229200000,109496833307641,NULL,NULL,-449791690,NULL);
INSERT INTO checkpoints VALUES(6,4,'first#000001',0,1,1,1,1767225600010,0,NULL,78514476538122,'3',NULL,-683838805,NULL);
INSERT INTO checkpoints VALUES(7,4,'signal:go#000001',2,0,NULL,1,1767225600020,NULL,NULL,78514476538122,NULL,NULL,1498990806,'signal:go');
CREATE TABLE executors (
    executor INTEGER PRIMARY KEY,
    lease_until INTEGER NOT NULL
  );
CREATE TABLE wal_growth (counter INTEGER NOT NULL);
INSERT INTO wal_growth VALUES(0);
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
INSERT INTO messages VALUES(1,'two','signal:early','"kept"',NULL,1767225600000,NULL,1103885231);
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
CREATE INDEX workflows_in_trouble ON workflows (status) WHERE status IN ('failed', 'blocked');
CREATE UNIQUE INDEX checkpoints_in_order ON checkpoints (workflow, completion);
CREATE INDEX checkpoints_running ON checkpoints (workflow, step_key) WHERE completion IS NULL;
CREATE INDEX workflows_due ON workflows (due_at) WHERE status = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX workflows_pending ON workflows (workflow) WHERE status = 'pending';
CREATE INDEX workflows_running ON workflows (executor) WHERE status = 'running';
CREATE INDEX inputs_of_children ON inputs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX messages_kept ON messages (workflow_id, topic) WHERE consumed IS NULL;
CREATE UNIQUE INDEX messages_once ON messages (workflow_id, topic, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE VIEW signals AS
  SELECT message AS signal, workflow_id, substr(topic, 8) AS name, payload_json, idempotency_key, sent_at, consumed
  FROM messages WHERE topic LIKE 'signal:%';
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
COMMIT;
PRAGMA application_id = 1400139863;
PRAGMA user_version = 2;
