// From pairs of runs to medians, and the table.
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2
}

const spreadOf = (values) => ({
  runs: values,
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

/** The figures that both halves have. */
export const comparable = ({ plain, feature }) => Object.keys(feature).filter((name) => name in plain)

/** Of each figure: what a plain job took, one with the feature, and how many times as much, pair by pair. */
export const rowOf = (id, title, runs) => {
  const figures = Object.fromEntries(
    comparable(runs[0]).map((name) => [
      name,
      {
        plain: spreadOf(runs.map(({ plain }) => plain[name])),
        feature: spreadOf(runs.map(({ feature }) => feature[name])),
        ratio: spreadOf(runs.map(({ plain, feature }) => feature[name] / plain[name])),
      },
    ]),
  )
  return { id, title, figures }
}

const times = ({ median, min, max, runs }) =>
  `${median.toFixed(2)}${runs.length > 1 ? ` (${min.toFixed(2)}–${max.toFixed(2)})` : ''}`

const cell = (figure) =>
  figure === undefined
    ? ['–', '–']
    : [`${figure.plain.median.toFixed(1)} → ${figure.feature.median.toFixed(1)}`, times(figure.ratio)]

export const table = (rows) => {
  const head = ['', 'enqueue, us/job', 'times', 'claim + complete, us/job', 'times', 'CPU, times']
  const body = rows.map(({ title, figures: { enqueueUs, workUs, cpuUs } }) => [
    title,
    ...cell(enqueueUs),
    ...cell(workUs),
    enqueueUs === undefined ? '–' : times(cpuUs.ratio),
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((cells) => cells[column].length)))
  const line = (cells) =>
    `| ${cells.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

const floorOfUse = 95

export const legend = ({ turns, review, ...used }) =>
  [
    ...(turns === undefined
      ? []
      : [
          `The ${turns.few} jobs of a key are started by claim ${turns.claims}, beside ${turns.many.toLocaleString('en')} of another.`,
        ]),
    ...(review === undefined
      ? []
      : [
          `Looking again at ${review.keys.toLocaleString('en')} keys whose limits changed takes ${review.us.toFixed(1)} us a key.`,
        ]),
    ...Object.values(used).map(
      ({ max, perMs, used: share }) =>
        `${share >= floorOfUse ? 'holds' : 'BELOW'}: a rate of ${max} in ${perMs} ms is used to ${share.toFixed(1)} % (at least ${floorOfUse})`,
    ),
  ].join('\n')
