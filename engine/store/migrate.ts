import { StoreOpenError } from "../errors.ts";
import { APPLICATION_ID, ownNames, SCHEMA_VERSION, TABLES } from "./schema.ts";
import type { SqliteDriver } from "./sqlite_driver.ts";

/**
 * Brings the file to this code's schema, in one transaction.
 *
 * @param migrations what leads from each version to the next; most files are new, or of this version, and need none
 * @returns whether it is: not for an older file without migrations, which is left as it is
 * @throws {StoreOpenError} if the file's schema is newer, or if it is another application's
 */
export function migrate(driver: SqliteDriver, location: string, migrations?: readonly string[]): boolean {
  const found = schemaVersion(driver, location);
  if (found === SCHEMA_VERSION) return true;
  if (found > 0 && migrations === undefined) return false;
  driver.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have done it since.
    const version = schemaVersion(driver, location);
    if (version === 0) driver.exec(TABLES);
    else for (const migration of migrations?.slice(version) ?? []) driver.exec(migration);
    if (version > 0 && version < SCHEMA_VERSION && migrations === undefined) {
      driver.exec("ROLLBACK");
      return false;
    }
    driver.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    driver.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    driver.exec("COMMIT");
    return true;
  } catch (error) {
    try {
      driver.exec("ROLLBACK");
    } catch {
      // SQLite has already rolled back by itself; the first error says why.
    }
    throw error;
  }
}

/**
 * The version of the file's schema, 0 for a new one.
 *
 * @throws {StoreOpenError} if it is newer than this code's, or another application's
 */
export function schemaVersion(driver: SqliteDriver, location: string): number {
  const version = pragma(driver, "user_version") as number;
  const application = pragma(driver, "application_id") as number;
  if (application !== APPLICATION_ID && (application !== 0 || version !== 0)) {
    throw new StoreOpenError(
      `Cannot open "${location}": wanted a new file or a Stepwell store, found the SQLite file of another ` +
        `application (application_id ${application}, user_version ${version})`,
    );
  }
  if (version === 0) refuseClash(driver, location);
  if (version > SCHEMA_VERSION) {
    throw new StoreOpenError(
      `Cannot open "${location}": wanted schema version ${SCHEMA_VERSION} or older, found ${version}, ` +
        `which a newer Stepwell has written`,
    );
  }
  return version;
}

/** Refuses a file that has something of its own under a name that the store needs. */
function refuseClash(driver: SqliteDriver, location: string): void {
  const [clash] = driver.all(
    "SELECT type, name FROM sqlite_master WHERE lower(name) IN (SELECT value FROM json_each(?))",
    [JSON.stringify(ownNames())],
  );
  // Another process may have made the store since the version was read.
  if (clash === undefined || pragma(driver, "user_version") !== 0) return;
  throw new StoreOpenError(
    `Cannot open "${location}": wanted a file in which the names that Stepwell gives to its tables are free, found the ` +
      `${clash.type} "${clash.name}"`,
  );
}

/** The value of a pragma. */
export function pragma(driver: SqliteDriver, name: string): unknown {
  return Object.values(driver.all(`PRAGMA ${name}`, [])[0] ?? {})[0];
}
