import { short, type Axis } from './axes'

export interface Cell {
  value: number
  count: number
  /** 0 the worst of the map to 1 the best. */
  goodness: number
  /** None is, where all are equal. */
  isBest: boolean
}

export interface HeatMap {
  columns: string[]
  rows: string[]
  /** By row, then by column; null where nothing was tried. */
  cells: (Cell | null)[][]
}

/** Ranges of an axis of many values. */
const Bins = 6

interface Binning {
  labels: string[]
  place(value: number | string): number
}

function bins(axis: Axis): Binning {
  if (axis.kind === 'ticks') return { labels: axis.ticks.map((tick) => (typeof tick === 'number' ? short(tick) : tick)), place: (value) => axis.position(value) }
  const width = (axis.max - axis.min) / Bins
  return {
    labels: Array.from({ length: Bins }, (_, place) => `${axis.label(axis.min + place * width)} – ${axis.label(axis.min + (place + 1) * width)}`),
    place: (value) => Math.min(Bins - 1, Math.max(0, Math.floor((axis.position(value) - axis.min) / width))),
  }
}

/** The metric over two parameters, the best or the mean of each cell. Rows ascend upwards, as on a chart. */
export function heatMap(x: Axis, y: Axis, metric: Axis, places: readonly number[], how: 'best' | 'mean', isHigherBetter: boolean): HeatMap {
  const [across, up] = [bins(x), bins(y)]
  const held: number[][][] = up.labels.map(() => across.labels.map(() => []))
  for (const place of places) held[up.place(y.values[place] ?? NaN)]?.[across.place(x.values[place] ?? NaN)]?.push(Number(metric.values[place]))
  const cells = held.map((row) => row.map((values) => {
    if (values.length === 0) return null
    const best = values.reduce((one, other) => (isHigherBetter === other > one ? other : one))
    return { value: how === 'best' ? best : values.reduce((sum, value) => sum + value, 0) / values.length, count: values.length, goodness: 1, isBest: false }
  }))
  const all = cells.flat().flatMap((cell) => (cell ? [cell.value] : []))
  const [low, high] = [all.reduce((one, other) => Math.min(one, other), Infinity), all.reduce((one, other) => Math.max(one, other), -Infinity)]
  for (const cell of cells.flat()) {
    if (!cell || high <= low) continue
    cell.goodness = isHigherBetter ? (cell.value - low) / (high - low) : (high - cell.value) / (high - low)
    cell.isBest = cell.value === (isHigherBetter ? high : low)
  }
  return { columns: across.labels, rows: [...up.labels].reverse(), cells: cells.reverse() }
}
