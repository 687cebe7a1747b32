#!/usr/bin/env python3
"""Convolutional networks in ONNX Runtime: forward only, on files that torch_convnets.py writes."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from convnets_common import calls, data, print_convolution, print_speeds, timed, work


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main():
    given = work()
    batch, threads = given["batch"], given["threads"]
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        # In a process of its own, so that PyTorch's threads are not here.
        program = str(Path(__file__).with_name("torch_convnets.py"))
        subprocess.run([sys.executable, "-W", "ignore", program, sys.argv[1], "export", temporary], check=True)
        layer = session(directory / "convolution.onnx", threads)
        x = np.random.default_rng(0).random((batch, 64, 56, 56), dtype=np.float32)
        print_convolution("forward", timed(given["convolution_rounds"], lambda: layer.run(None, {"x": x})))
        for network in given["networks"]:
            name, images = network["name"], network["images"]
            model = session(directory / f"{name}_{batch}.onnx", threads)
            x = np.ascontiguousarray(data(images)[0].transpose(0, 3, 1, 2))
            starts = range(0, images, batch)
            predict = lambda: np.concatenate([model.run(None, {"x": x[at : at + batch]})[0] for at in starts])
            print_speeds(name, "predict", images, timed(given["rounds"], predict))
            single = session(directory / f"{name}_1.onnx", threads)
            one_by_one = lambda: [single.run(None, {"x": x[at : at + 1]}) for at in range(calls(images))]
            print_speeds(name, "predict, one picture a call", calls(images), timed(given["rounds"], one_by_one))


if __name__ == "__main__":
    main()
