"""Puts images through torchvision's residual network with our weights and compares what comes out, layer by layer.

    resnet.py WEIGHTS CASE

Both are safetensors files; CASE holds images, labels and what we had for them. Prints "name largest-difference largest-value" lines.
"""
import json
import sys

import torch
import torchvision
from torch import nn

TYPES = {"F32": torch.float32, "U8": torch.uint8, "I64": torch.int64}


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    about = header.pop("__metadata__", {})
    return about, {
        name: torch.frombuffer(data[slice(*tensor["data_offsets"])], dtype=TYPES[tensor["dtype"]]).reshape(tensor["shape"])
        for name, tensor in header.items()
    }


def main():
    about, weights = read(sys.argv[1])
    _, case = read(sys.argv[2])
    architecture = json.loads(about["parameters"])["architecture"]
    shape = json.loads(about["shape"])

    model = getattr(torchvision.models, architecture)(num_classes=len(json.loads(about["classes"])))
    if min(shape["width"], shape["height"]) < 64:
        model.conv1 = nn.Conv2d(shape["channels"], 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    else:
        model.conv1 = nn.Conv2d(shape["channels"], 64, 7, 2, 3, bias=False)
    model.load_state_dict(weights)

    seen = []
    for layer in (model.maxpool, model.layer1, model.layer2, model.layer3, model.layer4, model.fc):
        layer.register_forward_hook(lambda layer, given, result: seen.append(result.detach()))

    def compare(name, theirs):
        ours = case[name]
        assert ours.shape == theirs.shape, f"{name} is {list(ours.shape)}, and torchvision's {list(theirs.shape)}"
        print(name, (ours - theirs).abs().max().item(), theirs.abs().max().item())

    images = case["images"].permute(0, 3, 1, 2).float() / 255
    for mode in ("eval", "train"):
        seen.clear()
        model.train(mode == "train")
        logits = model(images)
        for stage, result in enumerate(seen):
            compare(f"{mode}.{stage}", result)

    nn.functional.cross_entropy(logits, case["labels"]).backward()
    for name, parameter in model.named_parameters():
        compare(f"gradient.{name}", parameter.grad)
    for name, values in model.state_dict().items():
        if "running" in name:
            compare(f"after.{name}", values)


main()
