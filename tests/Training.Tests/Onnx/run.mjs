// run.mjs MODEL IMAGES: prints what ONNX Runtime makes of the images (float32 one behind another) as JSON, {name: [values]}.
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'

ort.env.wasm.numThreads = 1
const [model, images] = process.argv.slice(2).map((path) => readFileSync(path))
const session = await ort.InferenceSession.create(model)
const values = new Float32Array(images.buffer, images.byteOffset, images.length / 4)
const [, ...size] = session.inputMetadata[0].shape
const count = values.length / size.reduce((product, side) => product * side)
const outputs = await session.run({ images: new ort.Tensor('float32', values, [count, ...size]) })
console.log(JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, Array.from(tensor.data)]))))
