// How much memory this process has.

/** Resident set size; the largest so far when the system does not tell, as for want of a file descriptor. */
export function rssBytes(): number {
  try {
    return process.memoryUsage.rss()
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
