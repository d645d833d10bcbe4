import type { Axis, Range } from './axes'

/** By axis, what is let through. */
export type Brush = Readonly<Record<string, Range>>

/** Beyond the outermost ticks that are let through, to be seen and to be grasped. */
const Margin = 0.2

const places = (axis: Axis, [from, to]: Range): number[] => axis.ticks.map((_, place) => place).filter((place) => place >= from && place <= to)

/** The experiments that every range lets through, by place. */
export function chosen(count: number, axes: readonly Axis[], brush: Brush): number[] {
  const limits = axes.flatMap((axis) => {
    const range = brush[axis.name]
    return range ? [{ axis, range }] : []
  })
  return Array.from({ length: count }, (_, place) => place).filter((place) =>
    limits.every(({ axis, range }) => {
      const value = axis.values[place]
      if (value === undefined) return false
      const at = axis.position(value)
      return at >= range[0] && at <= range[1]
    }),
  )
}

/** The range between two values, as people give them; nothing where they are none of the axis's. */
export function between(axis: Axis, from: string, to: string): Range | null {
  if (axis.kind === 'ticks') {
    const [first, last] = [from, to].map((word) => axis.ticks.findIndex((tick) => String(tick) === word))
    return first === undefined || last === undefined || first < 0 || last < first ? null : [first - Margin, last + Margin]
  }
  const [first, last] = [from, to].map((word) => (word.trim() === '' ? NaN : axis.position(Number(word))))
  return first === undefined || last === undefined || !Number.isFinite(first) || !Number.isFinite(last) || last < first ? null : [first, last]
}

/** The values at a range's ends, as {@link between} takes them; nothing where it holds no tick. */
export function ends(axis: Axis, range: Range): [string, string] | null {
  if (axis.kind === 'ticks') {
    const held = places(axis, range)
    const [first, last] = [held[0], held.at(-1)]
    return first === undefined || last === undefined ? null : [String(axis.ticks[first]), String(axis.ticks[last])]
  }
  // Rounded outwards, so that what lies at an end stays in.
  const tidy = (position: number, round: (value: number) => number): string => {
    const value = axis.kind === 'log' ? 10 ** position : position
    const unit = 10 ** (Math.floor(Math.log10(Math.abs(value) || 1)) - 4)
    return String(Number((round(value / unit - (round === Math.ceil ? 1e-6 : -1e-6)) * unit).toPrecision(6)))
  }
  return [tidy(range[0], Math.floor), tidy(range[1], Math.ceil)]
}

/** For addresses: layers:1..2,learningRate:0.001..0.01 */
export const write = (brush: Brush, axes: readonly Axis[]): string =>
  axes.flatMap((axis) => {
    const range = brush[axis.name]
    const given = range && ends(axis, range)
    return given ? [`${axis.name}:${given[0]}..${given[1]}`] : []
  }).join(',')

/** What an address says; what it names that isn't there is left out. */
export function read(text: string, axes: readonly Axis[]): Brush {
  const brush: Record<string, Range> = {}
  for (const part of text.split(',')) {
    const [, name, from, to] = /^(\w+):(.+?)\.\.(.+)$/.exec(part) ?? []
    const axis = axes.find((each) => each.name === name)
    const range = axis && from !== undefined && to !== undefined ? between(axis, from, to) : null
    if (axis && range) brush[axis.name] = range
  }
  return brush
}

export const isSame = (one: Range | undefined, other: Range | undefined): boolean =>
  one === other || (one !== undefined && other !== undefined && Math.abs(one[0] - other[0]) < 1e-9 && Math.abs(one[1] - other[1]) < 1e-9)
