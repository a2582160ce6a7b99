-- A store as schema version 1 wrote it: dumped from a file of the last code that had no other, whose process was killed.
BEGIN TRANSACTION;
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
INSERT INTO "checkpoints" VALUES(1,1,'a#000001',0,1,1,1,1767225600000,0,NULL,63000356715067,'1',NULL,-438502886);
INSERT INTO "checkpoints" VALUES(2,1,'b#000001',0,1,2,1,1767225600000,0,NULL,63000356715067,'{"$devalue":[["Map",1,2],1,2]}',NULL,947132328);
INSERT INTO "checkpoints" VALUES(3,2,'first#000001',0,1,1,1,1767225600000,0,NULL,30725673956489,'"first"',NULL,-1068634180);
INSERT INTO "checkpoints" VALUES(4,2,'second#000001',0,2,2,1,1767225600000,0,NULL,30725673956489,NULL,'{"name":"RangeError","message":"broken","stack":"RangeError: broken\n    at file:///tmp/v1src/make.ts:10:49\n    at Run.call (file:///tmp/v1src/engine/run.ts:171:14)\n    at callFunction (file:///tmp/v1src/engine/step.ts:152:25)\n    at performStep (file:///tmp/v1src/engine/step.ts:65:17)\n    at Object.perform (file:///tmp/v1src/engine/run.ts:226:57)\n    at Run.#perform (file:///tmp/v1src/engine/run.ts:375:25)\n    at Run.#ask (file:///tmp/v1src/engine/run.ts:241:20)\n    at Run.step (file:///tmp/v1src/engine/run.ts:226:21)\n    at RunContext.step (file:///tmp/v1src/engine/run_context.ts:70:24)\n    at Object.run (file:///tmp/v1src/make.ts:10:20)"}',1332019569);
INSERT INTO "checkpoints" VALUES(5,3,'first#000001',0,1,1,1,1767225600000,0,NULL,26931910649473,'"first"',NULL,-226443410);
INSERT INTO "checkpoints" VALUES(6,4,'step#000001',0,0,NULL,2,1767225600000,NULL,1767229200000,107551724630000,NULL,'{"name":"Error","message":"no 1","stack":"Error: no 1\n    at ctx.step.retry.maxAttempts (file:///tmp/v1src/make.ts:20:113)\n    at Run.call (file:///tmp/v1src/engine/run.ts:171:14)\n    at callFunction (file:///tmp/v1src/engine/step.ts:152:25)\n    at performStep (file:///tmp/v1src/engine/step.ts:65:17)\n    at Object.perform (file:///tmp/v1src/engine/run.ts:226:57)\n    at Run.#perform (file:///tmp/v1src/engine/run.ts:375:25)\n    at Run.#ask (file:///tmp/v1src/engine/run.ts:241:20)\n    at Run.step (file:///tmp/v1src/engine/run.ts:226:21)\n    at RunContext.step (file:///tmp/v1src/engine/run_context.ts:70:24)\n    at Object.run (file:///tmp/v1src/make.ts:20:58)"}',-1407579828);
INSERT INTO "checkpoints" VALUES(7,3,'second#000001',0,0,NULL,1,1767225600000,NULL,NULL,26931910649473,NULL,NULL,-1759936525);
CREATE TABLE executors (
    executor INTEGER PRIMARY KEY,
    lease_until INTEGER NOT NULL
  );
INSERT INTO "executors" VALUES(18507558089343,1767225630000);
CREATE TABLE inputs (
    workflow INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,             -- of what the workflow draws at random
    input_json TEXT,                   -- null is undefined
    checksum INTEGER NOT NULL
  );
INSERT INTO "inputs" VALUES(1,99539427672448,'{"n":1}',1305832230);
INSERT INTO "inputs" VALUES(2,129543318726742,NULL,-1779750279);
INSERT INTO "inputs" VALUES(3,39746131217611,NULL,-2121811484);
INSERT INTO "inputs" VALUES(4,24274946433669,NULL,-417241965);
CREATE TABLE wal_growth (counter INTEGER NOT NULL);
INSERT INTO "wal_growth" VALUES(0);
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
INSERT INTO "workflows" VALUES(1,'completed','quick','completed',63000356715067,NULL,0,NULL,1767225600000,1767225600000,1767225600000,'3',NULL,1640926602);
INSERT INTO "workflows" VALUES(2,'failed','failing','failed',30725673956489,NULL,0,NULL,1767225600000,1767225600000,1767225600000,NULL,'{"name":"RangeError","message":"broken","stack":"RangeError: broken\n    at file:///tmp/v1src/make.ts:10:49\n    at Run.call (file:///tmp/v1src/engine/run.ts:171:14)\n    at callFunction (file:///tmp/v1src/engine/step.ts:152:25)\n    at performStep (file:///tmp/v1src/engine/step.ts:65:17)\n    at Object.perform (file:///tmp/v1src/engine/run.ts:226:57)\n    at Run.#perform (file:///tmp/v1src/engine/run.ts:375:25)\n    at Run.#ask (file:///tmp/v1src/engine/run.ts:241:20)\n    at Run.step (file:///tmp/v1src/engine/run.ts:226:21)\n    at RunContext.step (file:///tmp/v1src/engine/run_context.ts:70:24)\n    at Object.run (file:///tmp/v1src/make.ts:10:20)","step":"second#000001","completion":2}',1691707411);
INSERT INTO "workflows" VALUES(3,'running','held','running',26931910649473,18507558089343,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL);
INSERT INTO "workflows" VALUES(4,'backoff','flaky','running',107551724630000,18507558089343,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL);
CREATE INDEX workflows_in_trouble ON workflows (status) WHERE status IN ('failed', 'blocked');
CREATE UNIQUE INDEX checkpoints_in_order ON checkpoints (workflow, completion);
CREATE INDEX checkpoints_running ON checkpoints (workflow, step_key) WHERE completion IS NULL;
CREATE VIEW steps AS
  SELECT w.workflow_id, c.step_key,
    CASE c.kind WHEN 0 THEN 'step' END AS kind,
    CASE c.status WHEN 0 THEN 'running' WHEN 1 THEN 'completed' WHEN 4 THEN 'completed' ELSE 'failed' END
      AS status,
    c.output_json, c.error_json, printf('r_%012x', c.run) AS run_id, c.attempt, c.started_at,
    c.started_at + c.duration_ms AS completed_at, c.next_attempt_at, c.completion, c.status = 3 AS retried, c.checksum
  FROM checkpoints c JOIN workflows w ON w.workflow = c.workflow;
PRAGMA application_id = 1400139863;
PRAGMA user_version = 1;
COMMIT;
