#!/usr/bin/env python3
"""Trains one image classifier with PyTorch, as one would without this product: the peer that the benchmarks measure against.

    train.py --i 0.001 --j 2 --k 2000 --images DIR

DIR holds a folder per class, or train/ and test/ above them. The last line reads "accuracy: 0.9876".
"""
import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class Cnn(nn.Module):
    """j blocks of convolution, ReLU and 2x2 max pooling (while the side is above 3), a dense layer, dropout, and the classes."""

    def __init__(self, layers, classes=10, channels=1, side=28, filters=32, dense_units=128, dropout=0.5):
        super().__init__()
        blocks = []
        for layer in range(layers):
            outputs = filters if layer == 0 else 2 * filters
            blocks += [nn.Conv2d(channels, outputs, kernel_size=3, padding="same"), nn.ReLU()]
            if side > 3:
                blocks.append(nn.MaxPool2d(2))
                side //= 2
            channels = outputs
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * side * side, dense_units),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dense_units, classes),
        )

    def forward(self, images):
        return self.classifier(self.features(images))


def train_step(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss


def load(folder):
    """The training images and those to measure on: test/ where there is one, else a fifth."""
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.Grayscale(), transforms.ToTensor()])
    if (folder / "train").is_dir():
        return datasets.ImageFolder(folder / "train", transform), datasets.ImageFolder(folder / "test", transform)
    images = datasets.ImageFolder(folder, transform)
    held_out = len(images) // 5
    return torch.utils.data.random_split(images, [len(images) - held_out, held_out])


def batches(loader):
    while True:
        yield from loader


@torch.no_grad()
def measure(model, loader):
    model.eval()
    right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return right / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Train an image classifier and print its accuracy.")
    parser.add_argument("--i", type=float, required=True, help="learning rate")
    parser.add_argument("--j", type=int, required=True, help="convolution layers")
    parser.add_argument("--k", type=int, required=True, help="training steps")
    parser.add_argument("--images", type=Path, required=True, help="folder with a folder per class")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="torch threads; as many as there are cores where left out")
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    train, test = load(arguments.images)
    model = Cnn(arguments.j, dropout=arguments.dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.i)
    loader = torch.utils.data.DataLoader(train, batch_size=64, shuffle=True)
    for step, (images, labels) in zip(range(arguments.k), batches(loader)):
        loss = train_step(model, optimizer, images, labels)
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{arguments.k}  loss {loss.item():.4f}", flush=True)
    accuracy = measure(model, torch.utils.data.DataLoader(test, batch_size=1000))
    print(f"accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
