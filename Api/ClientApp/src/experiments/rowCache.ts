/** Some rows of the list, from a place on; the signal says that nobody wants them any more. */
export type ReadRows<T> = (offset: number, limit: number, signal: AbortSignal) => Promise<readonly T[]>

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
/** While so much is being read, nothing is read ahead. */
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
  /** Pages that are being read, and by which request. */
  #reading = new Map<number, AbortController>()
  #generation = 0
  /** The first generation of this order and filter. */
  #other = 0
  #first = 0
  #last = 0
  #total = 0
  #seen = new Map<string, string>()

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
    this.#letGo()
    this.#fill()
  }

  /**
   * Reads anew what is looked at.
   * @param isOther The order or the filter is another one: no row of before has a place here.
   */
  async reload(isOther: boolean): Promise<void> {
    this.#generation++
    // What is not asked for any more would only keep the service from what is.
    for (const request of this.#reading.values()) request.abort()
    this.#reading.clear()
    if (isOther) {
      this.#first = this.#last = 0
      this.#other = this.#generation
    }
    await this.#add(this.#first, Math.min(this.#last - this.#first + 1, MostRows / PageSize))
  }

  /** Puts news in the places of what they replace. Says whether one of them may belong elsewhere now. */
  patch(news: readonly T[]): boolean {
    const byId = new Map(news.map((row) => [row.id, row]))
    for (const page of this.#pages.values()) if (page.rows.some((row) => byId.has(row.id))) page.rows = page.rows.map((row) => byId.get(row.id) ?? row)
    const hasMoved = news.some((row) => this.#seen.get(row.id) !== row.status)
    this.#note(news)
    return hasMoved
  }

  /** Gives up what nobody looks at any more, nor near it. */
  #letGo(): void {
    const near = new Set([...this.#reading].filter(([page]) => page >= this.#first - Ahead && page <= this.#last + Ahead).map(([, request]) => request))
    for (const [page, request] of this.#reading) {
      if (near.has(request)) continue
      request.abort()
      this.#reading.delete(page)
    }
  }

  /** Reads what is old in what is looked at, then what is missing around it. */
  #fill(): void {
    this.#addRange(this.#first, this.#last, (page) => this.#pages.get(page)?.generation !== this.#generation)
    for (let page = this.#first; page <= this.#last; page++) if (this.#reading.has(page)) return
    this.#addRange(this.#last + 1, this.#last + Ahead, (page) => !this.#pages.has(page), AtOnce)
    this.#addRange(this.#first - Ahead, this.#first - 1, (page) => !this.#pages.has(page), AtOnce)
  }

  /** Pages side by side in one request, which costs the service one sorting. */
  #addRange(from: number, to: number, isWanted: (page: number) => boolean, atOnce = Infinity): void {
    const isMissing = (page: number): boolean => page <= to && page * PageSize < this.#total && isWanted(page) && !this.#reading.has(page)
    for (let first = Math.max(0, from); first <= to && new Set(this.#reading.values()).size < atOnce; first++) {
      let count = 0
      while (count < MostRows / PageSize && isMissing(first + count)) count++
      if (count > 0) void this.#add(first, count)
    }
  }

  async #add(first: number, count: number): Promise<void> {
    const generation = this.#generation
    const request = new AbortController()
    for (let page = first; page < first + count; page++) this.#reading.set(page, request)
    try {
      const rows = await this.read(first * PageSize, count * PageSize, request.signal)
      if (generation !== this.#generation) return
      // Whichever reading is the first to succeed: no row of another order has a place among these.
      for (const [page, old] of this.#pages) if (old.generation < this.#other) this.#pages.delete(page)
      for (let page = 0; page < count; page++) this.#pages.set(first + page, { rows: rows.slice(page * PageSize, (page + 1) * PageSize), generation })
      this.#note(rows)
      this.#ended(request)
      this.changed()
      this.#fill()
    } catch (error) {
      // What was let go of hasn't failed. What has is read again when somebody looks again, not at once.
      if (request.signal.aborted) return
      this.#ended(request)
      this.failed(error)
    }
  }

  #ended(request: AbortController): void {
    for (const [page, by] of this.#reading) if (by === request) this.#reading.delete(page)
  }

  /** An experiment that nobody has seen in this status may be new in the list. */
  #note(rows: readonly T[]): void {
    if (this.#seen.size > MostSeen) this.#seen.clear()
    for (const row of rows) this.#seen.set(row.id, row.status)
  }
}
