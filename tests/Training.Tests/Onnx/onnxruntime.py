"""The part of the Python package onnxruntime that the README uses. The test that runs the script answers with ONNX Runtime for .NET."""
import json
import sys
from types import SimpleNamespace

import numpy


def ask(**question):
    print(json.dumps(question), file=sys.stderr, flush=True)
    return json.loads(sys.stdin.readline())


class InferenceSession:
    def __init__(self, path):
        self._model = ask(model=path)

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map=self._model["metadata"])

    def get_inputs(self):
        return [SimpleNamespace(shape=self._model["shape"])]

    def run(self, names, feeds):
        images = feeds["images"]
        assert images.dtype == numpy.float32, images.dtype
        outputs = ask(images=images.ravel().tolist())
        return [numpy.array(outputs[name], numpy.float32).reshape(len(images), -1) for name in names]
