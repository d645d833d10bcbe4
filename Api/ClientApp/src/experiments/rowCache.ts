/** The experiments of one page of the list. */
export type ReadRows<T> = (offset: number, limit: number) => Promise<readonly T[]>

const PageSize = 100
/** So far ahead of what is looked at is read, in pages. */
const Ahead = 2
/** So far around it is kept. */
const Kept = 15
const AtOnce = 2
/** What one request may ask for. */
const MostRows = 500

/**
 * Rows of a list that is too long to be read: those around what is looked at. New ones replace old ones when they are there, so that nothing
 * is blank meanwhile.
 */
export class RowCache<T extends { id: string }> {
  #pages = new Map<number, readonly T[]>()
  #reading = new Set<number>()
  #generation = 0
  #first = 0
  #last = 0
  #seen = new Map<string, string>()

  /** How long the latest complete reading took, in milliseconds. */
  took = 0

  constructor(
    private readonly read: ReadRows<T>,
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  at(index: number): T | undefined {
    return this.#pages.get(Math.floor(index / PageSize))?.[index % PageSize]
  }

  /** All that is here, in the list's order. */
  *rows(): Generator<T> {
    for (const [, page] of [...this.#pages].sort(([one], [other]) => one - other)) yield* page
  }

  /** The rows from first to last are looked at, of so many: they and their neighbours are read, those far away forgotten. */
  look(first: number, last: number, total: number): void {
    this.#first = Math.floor(first / PageSize)
    this.#last = Math.max(this.#first, Math.floor((last - 1) / PageSize))
    for (const page of this.#pages.keys()) if (page < this.#first - Kept || page > this.#last + Kept) this.#pages.delete(page)
    const end = Math.ceil(total / PageSize)
    const wanted: number[] = []
    for (let page = this.#first; page <= this.#last; page++) wanted.push(page)
    for (let distance = 1; distance <= Ahead; distance++) wanted.push(this.#last + distance, this.#first - distance)
    for (const page of wanted) {
      if (this.#reading.size >= AtOnce) return
      if (page >= 0 && page < end && !this.#pages.has(page) && !this.#reading.has(page)) void this.#add(page, total)
    }
  }

  /** Reads anew what is looked at: the order or the filter is another one, or rows have moved. */
  async reload(fromStart: boolean): Promise<void> {
    const generation = ++this.#generation
    this.#reading.clear()
    if (fromStart) this.#first = this.#last = 0
    const first = this.#first
    const pages = Math.min(this.#last - first + 1, MostRows / PageSize)
    const began = performance.now()
    try {
      const rows = await this.read(first * PageSize, pages * PageSize)
      if (generation !== this.#generation) return
      this.#pages = new Map()
      for (let page = 0; page < pages; page++) this.#pages.set(first + page, rows.slice(page * PageSize, (page + 1) * PageSize))
      this.#note(rows)
      this.took = performance.now() - began
      this.changed()
    } catch (error) {
      if (generation === this.#generation) this.failed(error)
    }
  }

  /** Puts news in the places of what they replace. Says whether one of them may belong elsewhere now. */
  patch(news: readonly (T & { status: string })[]): boolean {
    const byId = new Map(news.map((row) => [row.id, row]))
    for (const [page, rows] of this.#pages) if (rows.some((row) => byId.has(row.id))) this.#pages.set(page, rows.map((row) => byId.get(row.id) ?? row))
    const moved = news.some((row) => this.#seen.get(row.id) !== row.status)
    this.#note(news)
    return moved
  }

  async #add(page: number, total: number): Promise<void> {
    const generation = this.#generation
    this.#reading.add(page)
    try {
      const rows = await this.read(page * PageSize, PageSize)
      if (generation !== this.#generation) return
      this.#pages.set(page, rows)
      this.#note(rows)
      this.changed()
    } catch (error) {
      if (generation === this.#generation) this.failed(error)
      return
    } finally {
      if (generation === this.#generation) this.#reading.delete(page)
    }
    this.look(this.#first * PageSize, (this.#last + 1) * PageSize, total)
  }

  /** An experiment that nobody has seen in this status may be new in the list. */
  #note(rows: readonly T[]): void {
    if (this.#seen.size > 20_000) this.#seen.clear()
    for (const row of rows) this.#seen.set(row.id, (row as T & { status?: string }).status ?? '')
  }
}
