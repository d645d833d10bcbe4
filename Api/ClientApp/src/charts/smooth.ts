export type Line = readonly (readonly [number, number | null])[]

/**
 * Exponential moving average without the pull towards 0 at the start (Kingma and Ba 2015 correct their moments so). What is no number stays out of it.
 * @param weight Of what came before, 0 (as it is) to below 1.
 */
export function smooth(line: Line, weight: number): [number, number | null][] {
  let sum = 0
  let share = 0
  return line.map(([x, y]) => {
    if (y === null) return [x, null]
    sum = sum * weight + y * (1 - weight)
    share = share * weight + (1 - weight)
    return [x, sum / share]
  })
}
