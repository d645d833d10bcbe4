"""check.py MODEL: has ONNX's own checker look at the file, shapes and all, and prints what the file says of itself as JSON."""
import json
import sys

import onnx


def describe(value):
    tensor = value.type.tensor_type
    return [value.name, onnx.TensorProto.DataType.Name(tensor.elem_type), [size.dim_param or size.dim_value for size in tensor.shape.dim]]


onnx.checker.check_model(sys.argv[1], full_check=True)
model = onnx.load(sys.argv[1])
print(json.dumps({
    "irVersion": model.ir_version,
    "opset": model.opset_import[0].version,
    "producer": model.producer_name,
    "values": [describe(value) for value in [*model.graph.input, *model.graph.output]],
    "nodes": [node.name for node in model.graph.node],
    "metadata": {entry.key: entry.value for entry in model.metadata_props},
}))
