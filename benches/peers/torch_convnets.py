#!/usr/bin/env python3
"""Convolutional networks in PyTorch, on the CPU, channels last, as plain loops.

    torch_convnets.py WORK            times them
    torch_convnets.py WORK export DIR writes the networks without head as ONNX files, for the batch in WORK and for one picture
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from convnets_common import CLASSES, SIZE, calls, data, print_convolution, print_speeds, timed, work


def convolution(channels, filters, size, stride=1, groups=1, activation=None, bias=False):
    """Convolution, normalization and, if given, an activation."""
    layers = [
        nn.Conv2d(channels, filters, size, stride, padding=size // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(filters),
    ]
    return nn.Sequential(*layers, *([activation] if activation else []))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widened, depthwise, narrowed; added to its input if shapes allow."""

    def __init__(self, channels, filters, stride, expansion):
        super().__init__()
        wide = channels * expansion
        self.adds = stride == 1 and channels == filters
        self.layers = nn.Sequential(
            *([convolution(channels, wide, 1, activation=nn.ReLU6(True))] if expansion > 1 else []),
            convolution(wide, wide, 3, stride, groups=wide, activation=nn.ReLU6(True)),
            convolution(wide, filters, 1),
        )

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


class Bottleneck(nn.Module):
    """ResNet50's block, with the stride in its first convolution and biases, as Keras has it."""

    def __init__(self, channels, filters, stride, projects):
        super().__init__()
        self.layers = nn.Sequential(
            convolution(channels, filters, 1, stride, activation=nn.ReLU(True), bias=True),
            convolution(filters, filters, 3, activation=nn.ReLU(True), bias=True),
            convolution(filters, 4 * filters, 1, bias=True),
        )
        self.shortcut = convolution(channels, 4 * filters, 1, stride, bias=True) if projects else nn.Identity()

    def forward(self, x):
        return functional.relu(self.shortcut(x) + self.layers(x), inplace=True)


def mobilenet_v2():
    layers, channels = [convolution(3, 32, 3, 2, activation=nn.ReLU6(True))], 32
    for expansion, filters, repeats, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for number in range(repeats):
            layers.append(InvertedResidual(channels, filters, stride if number == 0 else 1, expansion))
            channels = filters
    return nn.Sequential(*layers, convolution(320, 1280, 1, activation=nn.ReLU6(True)), *pooled()), 1280


def resnet50():
    first = convolution(3, 64, 7, 2, activation=nn.ReLU(True), bias=True)
    layers, channels = [first, nn.MaxPool2d(3, 2, 1)], 64
    for filters, repeats, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(repeats):
            layers.append(Bottleneck(channels, filters, stride if number == 0 else 1, number == 0))
            channels = 4 * filters
    return nn.Sequential(*layers, *pooled()), channels


def pooled():
    return nn.AdaptiveAvgPool2d(1), nn.Flatten()


def of_torchvision(name):
    """Without its classifier. Borders are symmetric there, and the classifier of MobileNetV3 begins behind the pooling;
    these are timed forward alone."""
    import torchvision

    network = getattr(torchvision.models, name)(weights=None)
    return nn.Sequential(network.features, *pooled()), None


NETWORKS = {
    "MobileNetV2": mobilenet_v2,
    "ResNet50": resnet50,
    "EfficientNetB0": lambda: of_torchvision("efficientnet_b0"),
    "MobileNetV3Large": lambda: of_torchvision("mobilenet_v3_large"),
    "ConvNeXtTiny": lambda: of_torchvision("convnext_tiny"),
}


def build(name):
    """The network without head, and the number of its features."""
    torch.manual_seed(0)
    network, features = NETWORKS[name]()
    return network.to(memory_format=torch.channels_last), features


def export(given, directory):
    for network in given["networks"]:
        model, _ = build(network["name"])
        # For each size of batch a file of its own: ONNX Runtime plans best for sizes that it knows.
        for batch in (given["batch"], 1):
            x = torch.zeros(batch, 3, SIZE, SIZE)
            path = directory / f"{network['name']}_{batch}.onnx"
            torch.onnx.export(model.eval(), (x,), path, dynamo=False, input_names=["x"], output_names=["y"])
    layer = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    x = torch.zeros(given["batch"], 64, 56, 56)
    path = directory / "convolution.onnx"
    torch.onnx.export(layer, (x,), path, dynamo=False, input_names=["x"], output_names=["y"])


def one_convolution(batch, rounds):
    """Backward is both gradients."""
    layer = nn.Conv2d(64, 64, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    x = torch.rand(batch, 64, 56, 56).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        print_convolution("forward", timed(rounds, lambda: layer(x)))
    x.requires_grad_(True)
    y = layer(x)
    dy = torch.rand_like(y)
    backward = lambda: torch.autograd.grad(y, (x, layer.weight), dy, retain_graph=True)
    print_convolution("backward", timed(rounds, backward))


def epoch(model, optimizer, x, y, batch):
    """One epoch in a new order; seconds."""
    began = time.perf_counter()
    for picked in torch.randperm(len(x)).split(batch):
        loss = functional.cross_entropy(model(x[picked]), y[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began


def predict(model, x, batch):
    with torch.inference_mode():
        return torch.cat([model(part) for part in x.split(batch)])


def main():
    given = work()
    batch, rounds = given["batch"], given["rounds"]
    if sys.argv[2:3] == ["export"]:
        export(given, Path(sys.argv[3]))
        return
    torch.set_num_threads(given["threads"])
    one_convolution(batch, given["convolution_rounds"])
    for network in given["networks"]:
        name, images, few = network["name"], network["images"], network["train_images"]
        x, y = (torch.from_numpy(array) for array in data(images))
        x = x.permute(0, 3, 1, 2)  # a view: the memory stays channels last
        base, features = build(name)
        base.eval().requires_grad_(False)
        print_speeds(name, "predict", images, timed(rounds, lambda: predict(base, x, batch)))
        one_by_one = lambda: [predict(base, x[at : at + 1], 1) for at in range(calls(images))]
        print_speeds(name, "predict, one picture a call", calls(images), timed(rounds, one_by_one))

        if few == 0:
            continue
        model = nn.Sequential(base, nn.Linear(features, CLASSES))
        optimizer = torch.optim.Adam(model[1].parameters())
        epoch(model, optimizer, x[:batch], y[:batch], batch)
        seconds = [epoch(model, optimizer, x, y, batch) for _ in range(2 * rounds)]
        print_speeds(name, "head, first epoch", images, seconds[::2])
        print_speeds(name, "head, later epochs", images, seconds[1::2])
        # What a careful user writes: the base once, then only the head.
        kept = predict(base, x, batch).clone()
        epoch(model[1], optimizer, kept[:batch], y[:batch], batch)
        seconds = [epoch(model[1], optimizer, kept, y, batch) for _ in range(3 * rounds)]
        print_speeds(name, "head, later epochs, features kept by hand", images, seconds)

        if "last_block" in network:
            # Behind the block are pooling and flattening.
            block = base[-3].requires_grad_(True).train()
            optimizer = torch.optim.Adam([*block.parameters(), *model[1].parameters()])
            epoch(model, optimizer, x[:batch], y[:batch], batch)
            seconds = [epoch(model, optimizer, x, y, batch) for _ in range(2 * rounds)]
            print_speeds(name, "last block, first epoch", images, seconds[::2])
            print_speeds(name, "last block, later epochs", images, seconds[1::2])

        base.requires_grad_(True)
        model.train()
        optimizer = torch.optim.Adam(model.parameters())
        seconds = [epoch(model, optimizer, x[:few], y[:few], batch) for _ in range(1 + rounds)]
        print_speeds(name, "all layers", few, seconds[1:])


if __name__ == "__main__":
    main()
