/**
 * Has every engine of a test run replay always: `deno test --preload tests/always_replay.ts`. What holds of workflows holds
 * as well where they are dropped from memory at every await.
 *
 * @module
 */
import { Engine } from "@stepwell/stepwell";

const { open, openOn } = Engine;
Engine.open = (location, options) => open.call(Engine, location, { alwaysReplay: true, ...options });
Engine.openOn = (database, options) => openOn.call(Engine, database, { alwaysReplay: true, ...options });
