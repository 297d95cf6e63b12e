/** The value below which `percent` of the values lie. */
export const percentile = (values, percent) => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]
}
