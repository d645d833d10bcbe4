import type { Schemas } from '@/api/client'

export type ClassResult = Schemas['ClassResult']
export type Column = 'label' | 'support' | 'precision' | 'recall' | 'f1'

/** Above this a matrix is more than anybody reads: the most confused pairs say it. */
export const MaxMatrix = 50

/** Up to here a matrix has room for shares, and lies beside the table. */
export const MaxWithShares = 12

/** By a column, numbers in labels as numbers; equal ones stay in the order of the matrix. */
export function sorted(classes: readonly ClassResult[], column: Column, isDescending: boolean): ClassResult[] {
  const sign = isDescending ? -1 : 1
  return [...classes].sort((a, b) => sign * (column === 'label' ? a.label.localeCompare(b.label, 'en', { numeric: true }) : a[column] - b[column]))
}

/** How much of its row a cell has, 0 to 1; nothing of an empty row. */
export const share = (images: number, row: readonly number[]): number => {
  const total = row.reduce((sum, each) => sum + each, 0)
  return total === 0 ? 0 : images / total
}

/** How strongly a cell is shaded, in percent: even one image among thousands is seen, and the text on the fullest one can be read. */
export const shade = (part: number): number => (part === 0 ? 0 : Math.round(6 + 36 * Math.sqrt(part)))
