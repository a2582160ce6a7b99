/** How long something took, for people: `0.4 ms`, `12 ms`, `1.2 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "no known time"; // of a file that has something else in its place
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A moment, for people, in UTC: `2026-01-31 12:00:00Z`. */
export function formatMoment(date: Date): string {
  if (Number.isNaN(date.getTime())) return "no known time"; // likewise
  return date.toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
}
