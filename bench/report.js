// From single runs to medians, the table, and whether the floors hold.
const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** One row per scenario, task and figure; `cells` by subject. */
export const summarize = (measured, scenarios, subjects) => {
  const rows = new Map()
  for (const { scenario, task, subject, jobs, figures } of measured) {
    for (const [figure, value] of Object.entries(figures)) {
      const key = [scenario, task, figure].join('|')
      const { title, figures: units } = scenarios.find(({ id }) => id === scenario)
      if (units[figure] === undefined) continue
      if (!rows.has(key)) rows.set(key, { scenario, title, task, figure, unit: units[figure], cells: {} })
      const { cells } = rows.get(key)
      cells[subject] ??= { jobs, runs: [] }
      cells[subject].runs.push(value)
    }
  }
  for (const { cells } of rows.values()) {
    for (const { id } of subjects) {
      const cell = cells[id]
      if (cell === undefined) continue
      Object.assign(cell, { median: median(cell.runs), min: Math.min(...cell.runs), max: Math.max(...cell.runs) })
    }
  }
  return [...rows.values()]
}

/** Adds rows for scenarios whose tasks are compared with one of them. */
export const relate = (rows, scenarios) =>
  rows.flatMap((row) => {
    const { relativeTo } = scenarios.find(({ id }) => id === row.scenario)
    if (relativeTo === undefined || row.task === relativeTo) return [row]
    const base = rows.find(
      ({ scenario, task, figure }) => scenario === row.scenario && task === relativeTo && figure === row.figure,
    )
    const cells = Object.fromEntries(
      Object.entries(row.cells).map(([id, cell]) => {
        const percent = (cell.median / base.cells[id].median) * 100
        return [id, { runs: [percent], median: percent, min: percent, max: percent }]
      }),
    )
    return [row, { ...row, figure: 'percent', unit: `% of ${relativeTo}`, cells }]
  })

const digits = (value) => {
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  if (value >= 100) return value.toFixed(0)
  if (value >= 10) return value.toFixed(1)
  return value.toFixed(value >= 1 ? 2 : 3)
}

const show = (cell) => {
  if (cell === undefined) return '–'
  const spread = cell.runs.length > 1 ? ` (${digits(cell.min)}–${digits(cell.max)})` : ''
  return digits(cell.median) + spread
}

/** A Markdown table that is readable as it stands. */
export const table = (rows, subjects) => {
  const head = ['', 'unit', ...subjects.map(({ title, version, durability }) => `${title} ${version}, ${durability}`)]
  const body = rows.map(({ title, task, figure, unit, cells }) => [
    [title, task].filter((part) => part !== '').join(': ') + (/^p\d/.test(figure) ? `, ${figure}` : ''),
    unit,
    ...subjects.map(({ id }) => show(cells[id])),
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((cells) => cells[column].length)))
  const line = (cells) =>
    `| ${cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (i < 2 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

/** Under the table: with what each column was measured. */
export const legend = (subjects, durabilityIs) =>
  subjects
    .map(
      ({ title, version, settings, durability, driver }) =>
        `- ${title} ${version}: ${settings}; ${durabilityIs}${durability}; ${driver}`,
    )
    .join('\n')

const isRate = (row) => row.unit === 'jobs/s' || row.figure === 'percent'

/** Floors are given by subject, then by task or for all tasks, then by figure. */
export const checkFloors = (rows, scenarios) =>
  rows.flatMap((row) => {
    const { floors = {} } = scenarios.find(({ id }) => id === row.scenario)
    return Object.entries(floors).flatMap(([subject, wanted]) => {
      const floor = (wanted[row.task] ?? wanted)[row.figure]
      const cell = row.cells[subject]
      if (typeof floor !== 'number' || cell === undefined) return []
      const holds = isRate(row) ? cell.median >= floor : cell.median <= floor
      const bound = `${isRate(row) ? 'at least' : 'at most'} ${digits(floor)}`
      const what = [row.title, row.task, row.figure].filter((part) => part !== '').join(', ')
      return [{ holds, line: `${holds ? 'holds' : 'BELOW'}: ${what}: ${digits(cell.median)} ${row.unit} (${bound})` }]
    })
  })
