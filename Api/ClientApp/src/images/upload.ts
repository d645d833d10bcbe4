import { ApiError, type Schemas } from '@/api/client'
import type { Batch, Chosen } from './plan'

/** Like fetch, which can't tell how much it has sent. */
export function send(modelId: string, batch: Batch, onSent: (bytes: number) => void, signal: AbortSignal): Promise<Schemas['UploadResponse']> {
  const form = new FormData()
  if (batch.label !== undefined) form.append('label', batch.label)
  if (batch.split !== undefined) form.append('split', batch.split)
  for (const file of batch.files) form.append('files', file)
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', `/api/models/${modelId}/images`)
    request.responseType = 'json'
    request.upload.onprogress = ({ loaded }) => onSent(Math.min(loaded, batch.bytes))
    request.onload = () => (request.status < 300 ? resolve(request.response) : reject(ApiError.of(request.response, request.status)))
    request.onerror = () => reject(new ApiError('The connection broke off. What was counted is there; send the rest again.', 0))
    request.onabort = () => reject(new ApiError('The upload was stopped. What was counted is there.', 0))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(form)
  })
}

/** What was dropped, folders opened. */
export async function dropped(transfer: DataTransfer): Promise<Chosen[]> {
  // All of them first: the list is gone after the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  return (await Promise.all(entries.map((entry) => opened(entry, '')))).flat()
}

export const chosenIn = (files: FileList): Chosen[] => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }))

async function opened(entry: FileSystemEntry, above: string): Promise<Chosen[]> {
  const path = above + entry.name
  if (entry.isFile) return [{ path, file: await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)) }]
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const found: Chosen[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return found
    for (const each of some) found.push(...(await opened(each, `${path}/`)))
  }
}
