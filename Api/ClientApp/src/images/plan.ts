/** A file to be uploaded, with the folders that it came in. */
export interface Chosen {
  path: string
  file: File
}

/** What goes into one request: files of one class, or archives, which name their classes themselves. */
export interface Batch {
  label?: string
  split?: string
  files: File[]
  bytes: number
}

const Splits = new Set(['train', 'validation', 'test'])
const MaxFiles = 200
const MaxBytes = 32 * 1024 * 1024

const isArchive = (name: string): boolean => /\.(zip|gz)$|-ubyte$/i.test(name)

/** Whether anything among these doesn't say its class: then somebody has to. */
export const needsLabel = (chosen: Chosen[]): boolean => chosen.some(({ path }) => !isArchive(path) && !path.includes('/'))

/**
 * A file's folder is its class, and train, validation or test above that its split. Small requests tell how far the upload is, and what is lost when
 * one fails; IDX files go together, since they come in pairs.
 */
export function plan(chosen: Chosen[], label?: string): Batch[] {
  const batches: Batch[] = []
  const open = new Map<string, Batch>()
  for (const { path, file } of chosen) {
    const folders = path.split('/').slice(0, -1)
    const isZip = /\.zip$/i.test(path)
    const archive = isArchive(path)
    const above = folders.at(-2)?.toLowerCase()
    const own: Pick<Batch, 'label' | 'split'> = archive ? {} : { label: folders.at(-1) ?? label, split: above && Splits.has(above) ? above : undefined }
    const key = `${archive ? 'idx' : 'images'}/${own.split ?? ''}/${own.label ?? ''}`
    let batch = isZip ? undefined : open.get(key)
    if (!batch || (!archive && (batch.files.length >= MaxFiles || batch.bytes + file.size > MaxBytes))) {
      batch = { ...own, files: [], bytes: 0 }
      batches.push(batch)
      if (!isZip) open.set(key, batch)
    }
    batch.files.push(file)
    batch.bytes += file.size
  }
  return batches
}
