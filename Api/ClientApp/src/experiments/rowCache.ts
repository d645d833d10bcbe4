/** Some rows of the list, from a place on. */
export type ReadRows<T> = (offset: number, limit: number) => Promise<readonly T[]>

interface Page<T> {
  rows: readonly T[]
  /** Of the question that it answers: an older one may be shown, and is read again where it is looked at. */
  generation: number
}

const PageSize = 100
/** So far ahead of what is looked at is read, in pages. */
const Ahead = 2
/** So far around it is kept. */
const Kept = 15
const AtOnce = 2
/** What one request may ask for. */
const MostRows = 500
/** Statuses that are remembered, to tell what has moved. */
const MostSeen = 20_000

/**
 * Rows of a list that is too long to be read: those around what is looked at. New ones replace old ones when they are there, so that nothing
 * is blank meanwhile.
 */
export class RowCache<T extends { id: string; status: string }> {
  #pages = new Map<number, Page<T>>()
  #reading = new Set<number>()
  #generation = 0
  #first = 0
  #last = 0
  #total = 0
  #seen = new Map<string, string>()

  /** How long the latest complete reading took, in milliseconds. */
  took = 0

  constructor(
    private readonly read: ReadRows<T>,
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  at(index: number): T | undefined {
    return this.#pages.get(Math.floor(index / PageSize))?.rows[index % PageSize]
  }

  placeOf(id: string): number | undefined {
    for (const [page, { rows }] of this.#pages) {
      const place = rows.findIndex((row) => row.id === id)
      if (place >= 0) return page * PageSize + place
    }
    return undefined
  }

  /** The rows from first to last are looked at, of so many: they and their neighbours are read, those far away forgotten. */
  look(first: number, last: number, total: number): void {
    this.#first = Math.floor(first / PageSize)
    this.#last = Math.max(this.#first, Math.floor((last - 1) / PageSize))
    this.#total = total
    for (const page of this.#pages.keys()) if (page < this.#first - Kept || page > this.#last + Kept) this.#pages.delete(page)
    this.#fill()
  }

  /**
   * Reads anew what is looked at.
   * @param isOther The order or the filter is another one: no row of before has a place here.
   */
  async reload(isOther: boolean): Promise<void> {
    const generation = ++this.#generation
    this.#reading.clear()
    if (isOther) this.#first = this.#last = 0
    const first = this.#first
    const pages = Math.min(this.#last - first + 1, MostRows / PageSize)
    const began = performance.now()
    try {
      const rows = await this.read(first * PageSize, pages * PageSize)
      if (generation !== this.#generation) return
      if (isOther) for (const [page, old] of this.#pages) if (old.generation < generation) this.#pages.delete(page)
      for (let page = 0; page < pages; page++) this.#pages.set(first + page, { rows: rows.slice(page * PageSize, (page + 1) * PageSize), generation })
      this.#note(rows)
      this.took = performance.now() - began
      this.changed()
      this.#fill()
    } catch (error) {
      if (generation === this.#generation) this.failed(error)
    }
  }

  /** Puts news in the places of what they replace. Says whether one of them may belong elsewhere now. */
  patch(news: readonly T[]): boolean {
    const byId = new Map(news.map((row) => [row.id, row]))
    for (const page of this.#pages.values()) if (page.rows.some((row) => byId.has(row.id))) page.rows = page.rows.map((row) => byId.get(row.id) ?? row)
    const hasMoved = news.some((row) => this.#seen.get(row.id) !== row.status)
    this.#note(news)
    return hasMoved
  }

  /** Reads what is missing around what is looked at, and what is old in it. */
  #fill(): void {
    const end = Math.ceil(this.#total / PageSize)
    const wanted: number[] = []
    for (let page = this.#first; page <= this.#last; page++) if (this.#pages.get(page)?.generation !== this.#generation) wanted.push(page)
    for (let distance = 1; distance <= Ahead; distance++) for (const page of [this.#last + distance, this.#first - distance]) if (!this.#pages.has(page)) wanted.push(page)
    for (const page of wanted) if (this.#reading.size < AtOnce && page >= 0 && page < end && !this.#reading.has(page)) void this.#add(page)
  }

  async #add(page: number): Promise<void> {
    const generation = this.#generation
    this.#reading.add(page)
    try {
      const rows = await this.read(page * PageSize, PageSize)
      if (generation !== this.#generation) return
      this.#pages.set(page, { rows, generation })
      this.#note(rows)
      this.#reading.delete(page)
      this.changed()
      this.#fill()
    } catch (error) {
      if (generation !== this.#generation) return
      this.#reading.delete(page)
      this.failed(error)
    }
  }

  /** An experiment that nobody has seen in this status may be new in the list. */
  #note(rows: readonly T[]): void {
    if (this.#seen.size > MostSeen) this.#seen.clear()
    for (const row of rows) this.#seen.set(row.id, row.status)
  }
}
