"""What the Python peers of convnets.py share: the work, the data, the printed lines. README.md has the protocol."""

import json
import sys
import time

import numpy as np

CLASSES = 5
SIZE = 224


def work():
    """What the driver asks for."""
    return json.loads(sys.argv[1])


def data(images):
    """Random images, channels last, with values from -1 to 1, and labels."""
    x = np.random.default_rng(0).random((images, SIZE, SIZE, 3), dtype=np.float32)
    return x * 2 - 1, np.arange(images) % CLASSES


def calls(images):
    """How many calls of one picture are timed."""
    return min(20, images)


def timed(rounds, call):
    """Seconds of each call, after one to warm up."""
    call()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return seconds


def print_speeds(network, what, images, seconds):
    values = [images / one for one in seconds]
    print(json.dumps({"name": f"{network}: {what}", "unit": "images/s", "values": values}), flush=True)


def print_convolution(what, seconds):
    values = [1e3 * one for one in seconds]
    print(json.dumps({"name": f"one convolution: {what}", "unit": "ms", "values": values}), flush=True)
