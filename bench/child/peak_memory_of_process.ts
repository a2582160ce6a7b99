/** The most memory that this process has had, in bytes. Linux only; it needs all access, as Deno has it for files of `/proc`. */
export function peakMemory(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
  return Number(kilobytes) * 1024;
}
