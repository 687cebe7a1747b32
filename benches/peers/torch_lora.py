#!/usr/bin/env python3
"""A LoRA on the last blocks of a frozen MobileNetV2 in PyTorch with PEFT: torch_lora.py WORK. README.md has the protocol."""

import json
import time
from collections import OrderedDict

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from convnets_common import CLASSES, data, work
from torch_convnets import build, epoch, predict

# Keras' block_14 to block_16; the convolutions that widen and narrow.
BLOCKS = (15, 16, 17)
CONVOLUTIONS = ("layers.0.0", "layers.2.0")


def adapted(layers, first, features, rank):
    """PEFT's model of these layers, of which the first has this number in the whole, with a head of its own."""
    parts = OrderedDict((f"b{first + at}", layer) for at, layer in enumerate(layers))
    network = nn.Sequential(OrderedDict(base=nn.Sequential(parts), head=nn.Linear(features, CLASSES)))
    targets = [f"base.b{block}.{layer}" for block in BLOCKS for layer in CONVOLUTIONS]
    config = LoraConfig(r=rank, lora_alpha=8, target_modules=targets, modules_to_save=["head"])
    # Frozen normalizations use their statistics.
    model = get_peft_model(network, config).eval()
    return model.to(memory_format=torch.channels_last)


def show(name, unit, values):
    print(json.dumps({"name": name, "unit": unit, "values": values}), flush=True)


def show_speeds(name, images, seconds):
    """`seconds` are by the clock and of the processor."""
    for at, unit in enumerate(("images/s", "images/s of the processor")):
        show(name, unit, [images / one[at] for one in seconds])


def main():
    given = work()
    batch, images, rank, epochs = (given[name] for name in ("batch", "images", "rank", "epochs"))
    torch.set_num_threads(given["threads"])
    x, y = (torch.from_numpy(array) for array in data(images))
    x = x.permute(0, 3, 1, 2)  # a view: the memory stays channels last

    def timed(model, inputs, count):
        trained = [value for value in model.parameters() if value.requires_grad]
        optimizer = torch.optim.Adam(trained)
        epoch(model, optimizer, inputs[:batch], y[:batch], batch)
        seconds = []
        for _ in range(count):
            began = time.process_time()
            clock = epoch(model, optimizer, inputs, y, batch)
            seconds.append((clock, time.process_time() - began))
        return trained, seconds

    base, features = build("MobileNetV2")
    base.eval()
    trained, seconds = timed(adapted(list(base), 0, features, rank), x, epochs)
    show("trained numbers", "", [sum(value.numel() for value in trained)])
    show_speeds("first epoch", images, seconds[:1])
    show_speeds("later epochs", images, seconds[1:])

    # What a careful user writes: what is below the adapters once, then only the rest.
    base, features = build("MobileNetV2")
    base.eval()
    kept = predict(base[: BLOCKS[0]], x, batch).clone()
    _, seconds = timed(adapted(list(base[BLOCKS[0] :]), BLOCKS[0], features, rank), kept, epochs)
    show_speeds("later epochs, features kept by hand", images, seconds)


if __name__ == "__main__":
    main()
