/**
 * Schedules: workflows that are started by the clock. Apart from the rest, so that only who has schedules loads the library
 * that reads cron expressions.
 *
 * @module
 */

export { nextTicks, schedule, type ScheduleOptions } from "./engine/cron_schedule.ts";
