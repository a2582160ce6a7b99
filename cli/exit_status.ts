/** What the process tells its parent. */
export const ExitStatus = {
  /** The workflow completed, or the command did what it says. */
  completed: 0,
  /** The workflow failed or is blocked, or the command could not be carried out. */
  failed: 1,
  /** The command line is wrong: nothing was run. */
  usage: 2,
  /** Another process owns the workflow. */
  busy: 3,
  /** Stopped by SIGINT or SIGTERM; the workflow can be resumed. */
  interrupted: 130,
} as const;

/** One of the values of {@linkcode ExitStatus}. */
export type ExitStatus = typeof ExitStatus[keyof typeof ExitStatus];
