import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

/** The service sends these as they are, to those who take them. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    // When all is written: until then other plugins still change it.
    async writeBundle({ dir = '' }, bundle) {
      for (const fileName of Object.keys(bundle).filter((name) => /\.(js|css|svg)$/.test(name))) {
        const bytes = await readFile(join(dir, fileName))
        if (bytes.length < 1024) continue
        const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
        await writeFile(join(dir, `${fileName}.br`), brotli)
        await writeFile(join(dir, `${fileName}.gz`), gzipSync(bytes, { level: 9 }))
      }
    },
  }
}

const service = process.env.MLEXPERIMENTS_API ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue(), packed()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: { outDir: '../wwwroot', emptyOutDir: true, modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  server: { proxy: { '/api': service, '/swagger': service, '/health': service } },
})
