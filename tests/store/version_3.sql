-- A store as schema version 3 wrote it: dumped from a file of the last code that had no other, while a process ran.
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
  , due_at INTEGER, retried_at INTEGER, queue INTEGER, code TEXT, partition TEXT, ready_at INTEGER, rank INTEGER, placed INTEGER, held INTEGER, begun_at INTEGER, deduplication_key TEXT, debounce_key TEXT, throttle_key TEXT);
INSERT INTO workflows VALUES(1,'done','done','completed',16052818526899,NULL,0,NULL,1767225600000,1767225600000,1767225600000,'{"$devalue":[["Map",1,2],1,2]}',NULL,-755183012,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(2,'broken','broken','failed',32755956783079,NULL,0,NULL,1767225600000,1767225600000,1767225600000,NULL,'{"name":"RangeError","message":"broken","stack":"RangeError: broken\n    at file:///srv/example.ts:12:72\n    at Run.call (file:///srv/stepwell/engine/run.ts:197:14)\n    at callFunction (file:///srv/stepwell/engine/step.ts:174:25)\n    at performStep (file:///srv/stepwell/engine/step.ts:79:17)\n    at Object.perform (file:///srv/stepwell/engine/run_context.ts:102:71)\n    at Run.perform (file:///srv/stepwell/engine/run.ts:345:21)\n    at Execution.ask (file:///srv/stepwell/engine/execution.ts:221:17)\n    at file:///srv/stepwell/engine/run_context.ts:102:32\n    at RunContext.#asked (file:///srv/stepwell/engine/run_context.ts:248:14)\n    at RunContext.step (file:///srv/stepwell/engine/run_context.ts:82:23)","step":"a#000001","completion":1}',-776097,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(3,'two','two','running',42146107409901,37158301943350,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(4,'sleeper','sleeper','waiting',119849943361307,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,1767229200000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(5,'deduplicated','two','running',46504357615755,37158301943350,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,4,'["two","1"]',NULL,1767225600000,1767225600000,1,NULL,1767225600000,'k',NULL,NULL);
INSERT INTO workflows VALUES(6,'a1','held','running',83291966517253,37158301943350,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,1,'["held",null]','a',1767225600000,1767225600000,1,NULL,1767225600000,NULL,NULL,NULL);
INSERT INTO workflows VALUES(7,'a2','held','pending',NULL,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,1,'["held",null]','a',1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(8,'a3','held','pending',NULL,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,1,'["held",null]','a',1767225600000,1767225600000,NULL,1,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(9,'b1','held','running',20430790792763,37158301943350,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,1,'["held",null]','b',1767225600000,1767225600000,1,NULL,1767225600000,NULL,NULL,NULL);
INSERT INTO workflows VALUES(10,'rated1','done','completed',100442689980109,NULL,0,NULL,1767225600000,1767225600000,1767225600000,'{"$devalue":[["Map",1,2],1,2]}',NULL,460889170,NULL,NULL,2,'["done",null]',NULL,1767225600000,1767225600000,NULL,NULL,1767225600000,NULL,NULL,NULL);
INSERT INTO workflows VALUES(11,'rated2','done','completed',105342630854343,NULL,0,NULL,1767225600000,1767225600000,1767225600000,'{"$devalue":[["Map",1,2],1,2]}',NULL,-1599303103,NULL,NULL,2,'["done",null]',NULL,1767225600000,1767225600000,NULL,NULL,1767225600000,NULL,NULL,NULL);
INSERT INTO workflows VALUES(12,'rated3','done','pending',NULL,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,2,'["done",null]',NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(13,'delayed','done','waiting',NULL,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,1767232800000,NULL,4,'["done",null]',NULL,1767232800000,1767232800000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(14,'foreign','elsewhere','pending',NULL,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL,4,'["elsewhere",null]',NULL,1767225600000,1767225600000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO workflows VALUES(15,'paused','sleeper','blocked',128728746470676,NULL,0,NULL,1767225600000,1767225600000,NULL,NULL,'{"name":"WorkflowPausedError","message":"Cannot go on with workflow \"paused\": it was paused, and goes on when it is resumed","stack":"WorkflowPausedError: Cannot go on with workflow \"paused\": it was paused, and goes on when it is resumed\n    at file:///srv/stepwell/engine/requests.ts:55:64\n    at request (file:///srv/stepwell/engine/requests.ts:125:26)\n    at async Module.pauseWorkflow (file:///srv/stepwell/engine/requests.ts:54:3)\n    at async Engine.#whileOpen (file:///srv/stepwell/engine/engine.ts:750:14)\n    at async Engine.pause (file:///srv/stepwell/engine/engine.ts:467:5)\n    at async file:///srv/example.ts:39:1","fields":{"workflowId":"paused"}}',-292399878,NULL,NULL,4,'["sleeper",null]',NULL,1767225600000,1767225600000,NULL,NULL,1767225600000,NULL,NULL,NULL);
CREATE TABLE inputs (
    workflow INTEGER PRIMARY KEY,
    seed INTEGER NOT NULL,             -- of what the workflow draws at random
    input_json TEXT,                   -- null is undefined
    checksum INTEGER NOT NULL
  , version TEXT, deadline_at INTEGER, parent_id TEXT, detached INTEGER NOT NULL DEFAULT 0, forked_from TEXT, forked_at INTEGER, unchecked INTEGER NOT NULL DEFAULT 0);
INSERT INTO inputs VALUES(1,115002682654081,NULL,1681634640,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(2,45418795244387,NULL,1101513080,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(3,60186870353487,'2',1796057577,'1',NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(4,57181243777910,NULL,-284705921,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(5,96348827514140,'5',118252720,'1',NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(6,59825575863806,'"a1"',1548603346,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(7,102940794383478,'"a2"',1400870938,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(8,115366854163559,'"a3"',986778737,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(9,123747196293408,'"b1"',-1552788199,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(10,25754352932722,NULL,552558494,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(11,11812551751237,NULL,493974611,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(12,109719572155235,NULL,-837395160,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(13,138581125588780,NULL,76434053,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO inputs VALUES(14,34496239659451,NULL,2136613704,NULL,NULL,NULL,0,NULL,NULL,1);
INSERT INTO inputs VALUES(15,100652063173557,NULL,671435031,NULL,NULL,NULL,0,NULL,NULL,0);
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
INSERT INTO checkpoints VALUES(1,1,'publish:state#000001',6,1,1,1,1767225600000,0,NULL,16052818526899,NULL,NULL,1373817245,NULL);
INSERT INTO checkpoints VALUES(2,1,'emit:s#000001',7,1,2,1,1767225600000,0,NULL,16052818526899,NULL,NULL,-324421903,NULL);
INSERT INTO checkpoints VALUES(3,1,'a#000001',0,1,3,1,1767225600000,0,NULL,16052818526899,'{"$devalue":[["Map",1,2],1,2]}',NULL,1499701398,NULL);
INSERT INTO checkpoints VALUES(4,2,'a#000001',0,2,1,1,1767225600000,0,NULL,32755956783079,NULL,'{"name":"RangeError","message":"broken","stack":"RangeError: broken\n    at file:///srv/example.ts:12:72\n    at Run.call (file:///srv/stepwell/engine/run.ts:197:14)\n    at callFunction (file:///srv/stepwell/engine/step.ts:174:25)\n    at performStep (file:///srv/stepwell/engine/step.ts:79:17)\n    at Object.perform (file:///srv/stepwell/engine/run_context.ts:102:71)\n    at Run.perform (file:///srv/stepwell/engine/run.ts:345:21)\n    at Execution.ask (file:///srv/stepwell/engine/execution.ts:221:17)\n    at file:///srv/stepwell/engine/run_context.ts:102:32\n    at RunContext.#asked (file:///srv/stepwell/engine/run_context.ts:248:14)\n    at RunContext.step (file:///srv/stepwell/engine/run_context.ts:82:23)"}',-51909952,NULL);
INSERT INTO checkpoints VALUES(5,3,'first#000001',0,1,1,1,1767225600000,0,NULL,42146107409901,'2',NULL,1671831287,NULL);
INSERT INTO checkpoints VALUES(6,4,'before#000001',0,1,1,1,1767225600000,0,NULL,119849943361307,NULL,NULL,977032704,NULL);
INSERT INTO checkpoints VALUES(7,3,'signal:go#000001',2,0,NULL,1,1767225600000,NULL,NULL,42146107409901,NULL,NULL,-2094192637,'signal:go');
INSERT INTO checkpoints VALUES(8,4,'sleep#000001',1,0,NULL,1,1767225600000,NULL,1767229200000,119849943361307,NULL,NULL,2066634980,NULL);
INSERT INTO checkpoints VALUES(9,5,'first#000001',0,1,1,1,1767225600000,0,NULL,46504357615755,'5',NULL,-658538392,NULL);
INSERT INTO checkpoints VALUES(10,5,'signal:go#000001',2,0,NULL,1,1767225600000,NULL,NULL,46504357615755,NULL,NULL,-94420817,'signal:go');
INSERT INTO checkpoints VALUES(11,6,'first#000001',0,1,1,1,1767225600000,0,NULL,83291966517253,'"a1"',NULL,-1542043784,NULL);
INSERT INTO checkpoints VALUES(12,6,'held#000001',0,0,NULL,1,1767225600000,NULL,NULL,83291966517253,NULL,NULL,-1378682289,NULL);
INSERT INTO checkpoints VALUES(13,9,'first#000001',0,1,1,1,1767225600000,0,NULL,20430790792763,'"b1"',NULL,971011989,NULL);
INSERT INTO checkpoints VALUES(14,10,'publish:state#000001',6,1,1,1,1767225600000,0,NULL,100442689980109,NULL,NULL,509212589,NULL);
INSERT INTO checkpoints VALUES(15,9,'held#000001',0,0,NULL,1,1767225600000,NULL,NULL,20430790792763,NULL,NULL,951961811,NULL);
INSERT INTO checkpoints VALUES(16,10,'emit:s#000001',7,1,2,1,1767225600000,0,NULL,100442689980109,NULL,NULL,2112373136,NULL);
INSERT INTO checkpoints VALUES(17,11,'publish:state#000001',6,1,1,1,1767225600000,0,NULL,105342630854343,NULL,NULL,88870258,NULL);
INSERT INTO checkpoints VALUES(18,11,'emit:s#000001',7,1,2,1,1767225600000,0,NULL,105342630854343,NULL,NULL,1248471129,NULL);
INSERT INTO checkpoints VALUES(19,10,'a#000001',0,1,3,1,1767225600000,0,NULL,100442689980109,'{"$devalue":[["Map",1,2],1,2]}',NULL,259586706,NULL);
INSERT INTO checkpoints VALUES(20,11,'a#000001',0,1,3,1,1767225600000,0,NULL,105342630854343,'{"$devalue":[["Map",1,2],1,2]}',NULL,1045996182,NULL);
INSERT INTO checkpoints VALUES(21,15,'before#000001',0,1,1,1,1767225600000,0,NULL,128728746470676,NULL,NULL,1705898264,NULL);
INSERT INTO checkpoints VALUES(22,15,'sleep#000001',1,0,NULL,1,1767225600000,NULL,1767229200000,128728746470676,NULL,NULL,544162375,NULL);
CREATE TABLE executors (
    executor INTEGER PRIMARY KEY,
    lease_until INTEGER NOT NULL
  , pid INTEGER, started_at INTEGER);
INSERT INTO executors VALUES(37158301943350,1767225630000,6641,1767225600000);
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
INSERT INTO messages VALUES(1,'two','signal:other','"kept"',NULL,1767225600000,NULL,-551962258);
INSERT INTO messages VALUES(2,'two','signal:other','"once"','k1',1767225600000,NULL,-1904955370);
INSERT INTO messages VALUES(3,'paused','pause',NULL,NULL,1767225600000,0,630484120);
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
INSERT INTO published VALUES(1,'state','"x"',1767225600000,1,-1187833437);
INSERT INTO published VALUES(10,'state','"x"',1767225600000,1,-19311388);
INSERT INTO published VALUES(11,'state','"x"',1767225600000,1,-1288612733);
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
INSERT INTO emitted VALUES(1,'s',0,'1',1767225600000,2,1807279222);
INSERT INTO emitted VALUES(10,'s',0,'1',1767225600000,2,-1659416391);
INSERT INTO emitted VALUES(11,'s',0,'1',1767225600000,2,941571029);
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
INSERT INTO queues VALUES(1,'tenants',5,NULL,1,NULL,NULL,1000000,60000,NULL,2);
INSERT INTO queues VALUES(2,'rated',NULL,NULL,NULL,2,3600000,1000000,60000,NULL,1);
INSERT INTO queues VALUES(3,'schedule:own',1,NULL,NULL,NULL,NULL,1000000,60000,NULL,0);
INSERT INTO queues VALUES(4,'plain',NULL,NULL,NULL,NULL,NULL,1000000,60000,NULL,2);
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
INSERT INTO schedules VALUES('hourly','sleeper',NULL,NULL,NULL,0,'0 * * * *','UTC','latest','skip',NULL,NULL,1767225600000,1767229200000,NULL,NULL,37158301943350,NULL,294864259);
INSERT INTO schedules VALUES('own','done',NULL,NULL,NULL,0,'30 * * * *','UTC','latest','queue','schedule:own',NULL,1767225600000,1767227400000,NULL,NULL,37158301943350,NULL,672437712);
CREATE TABLE placements (
    queue INTEGER NOT NULL,
    at INTEGER NOT NULL
  );
INSERT INTO placements VALUES(2,1767225600000);
INSERT INTO placements VALUES(2,1767225600000);
CREATE INDEX workflows_in_trouble ON workflows (status) WHERE status IN ('failed', 'blocked');
CREATE UNIQUE INDEX checkpoints_in_order ON checkpoints (workflow, completion);
CREATE INDEX checkpoints_running ON checkpoints (workflow, step_key) WHERE completion IS NULL;
CREATE INDEX workflows_due ON workflows (due_at) WHERE status = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX workflows_running ON workflows (executor) WHERE status = 'running';
CREATE INDEX inputs_of_children ON inputs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX messages_kept ON messages (workflow_id, topic) WHERE consumed IS NULL;
CREATE UNIQUE INDEX messages_once ON messages (workflow_id, topic, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
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
CREATE INDEX workflows_pending ON workflows (workflow) WHERE status = 'pending' AND queue IS NULL;
CREATE INDEX placements_in_order ON placements (queue, at);
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
CREATE TRIGGER place_given AFTER UPDATE OF placed ON workflows
  WHEN NEW.placed = 1 AND OLD.placed IS NULL AND (SELECT rate_limit FROM queues WHERE queue = NEW.queue) IS NOT NULL
  BEGIN
    DELETE FROM placements WHERE queue = NEW.queue
      AND at <= NEW.begun_at - 60000 - (SELECT rate_period_ms FROM queues WHERE queue = NEW.queue);
    INSERT INTO placements (queue, at) VALUES (NEW.queue, NEW.begun_at);
  END;
CREATE TRIGGER place_left AFTER UPDATE OF status ON workflows
  WHEN NEW.placed = 1 AND NEW.status NOT IN ('pending', 'running', 'waiting')
  BEGIN UPDATE workflows SET placed = NULL WHERE workflow = NEW.workflow; END;
CREATE TRIGGER line_joined AFTER INSERT ON workflows
  WHEN NEW.queue IS NOT NULL AND NEW.placed IS NULL AND NEW.status IN ('pending', 'waiting')
  BEGIN UPDATE queues SET depth = depth + 1 WHERE queue = NEW.queue; END;
CREATE TRIGGER line_rejoined AFTER UPDATE OF status, placed ON workflows
  WHEN NEW.queue IS NOT NULL AND NEW.placed IS NULL AND NEW.status IN ('pending', 'waiting') AND NOT (OLD.placed IS NULL AND OLD.status IN ('pending', 'waiting'))
  BEGIN UPDATE queues SET depth = depth + 1 WHERE queue = NEW.queue; END;
CREATE TRIGGER line_left AFTER UPDATE OF status, placed ON workflows
  WHEN OLD.queue IS NOT NULL AND OLD.placed IS NULL AND OLD.status IN ('pending', 'waiting') AND NOT (NEW.placed IS NULL AND NEW.status IN ('pending', 'waiting'))
  BEGIN UPDATE queues SET depth = depth - 1 WHERE queue = OLD.queue; END;
CREATE TRIGGER partition_joined AFTER INSERT ON workflows
  WHEN NEW.partition IS NOT NULL AND NEW.status = 'pending' AND (SELECT partition_concurrency FROM queues WHERE queue = NEW.queue) IS NOT NULL
  BEGIN 
    UPDATE workflows SET held = 1
    WHERE workflow = (SELECT c.workflow FROM workflows c WHERE c.queue = NEW.queue AND c.partition = NEW.partition AND c.code = NEW.code
  AND c.status = 'pending' AND c.placed IS NULL AND c.held IS NULL ORDER BY c.rank DESC, c.workflow DESC LIMIT 1)
      AND (SELECT count(*) FROM workflows c WHERE c.queue = NEW.queue AND c.partition = NEW.partition AND c.code = NEW.code
  AND c.status = 'pending' AND c.placed IS NULL AND c.held IS NULL) > (
        SELECT partition_concurrency FROM queues WHERE queue = NEW.queue); END;
CREATE TRIGGER partition_rejoined AFTER UPDATE OF status ON workflows
  WHEN NEW.partition IS NOT NULL AND NEW.status = 'pending' AND NEW.placed IS NULL AND OLD.status <> 'pending'
    AND (SELECT partition_concurrency FROM queues WHERE queue = NEW.queue) IS NOT NULL
  BEGIN 
    UPDATE workflows SET held = 1
    WHERE workflow = (SELECT c.workflow FROM workflows c WHERE c.queue = NEW.queue AND c.partition = NEW.partition AND c.code = NEW.code
  AND c.status = 'pending' AND c.placed IS NULL AND c.held IS NULL ORDER BY c.rank DESC, c.workflow DESC LIMIT 1)
      AND (SELECT count(*) FROM workflows c WHERE c.queue = NEW.queue AND c.partition = NEW.partition AND c.code = NEW.code
  AND c.status = 'pending' AND c.placed IS NULL AND c.held IS NULL) > (
        SELECT partition_concurrency FROM queues WHERE queue = NEW.queue); END;
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
PRAGMA user_version = 3;
PRAGMA application_id = 1400139863;
COMMIT;
