#!/usr/bin/env python3
"""The forward pass of all-MiniLM-L6-v2 in Regraft, ONNX Runtime and PyTorch, in turn, and their ratios.

    python benches/peers/bert.py [--rounds N] [--batch 32] [--length 64] [--threads 2] [--python-torch FILE]

`python3 fixtures/pretrained.py minilm` fetches the encoder first. Sentences are of a quarter of the length to all of it,
filled up and masked; the sums of what the programs give are compared. Needs nothing but Python itself; the peers in the
interpreter that is named.
"""

import argparse
import json
import os
import statistics
import sys

from drive import HERE, build_example, need
from lora import call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("rounds", 3), ("batch", 32), ("length", 64), ("runs", 20), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--python-torch", default=os.environ.get("REGRAFT_TORCH_PYTHON", sys.executable))
    parser.add_argument("--binary", help="the example `bench_bert`, built already")
    given = parser.parse_args()
    need(given.python_torch, "torch", "onnx", "onnxscript", "onnxruntime", "transformers")
    folder = str(HERE.parent.parent / "out" / "pretrained" / "minilm")
    work = {name: getattr(given, name) for name in ("batch", "length", "runs", "threads")} | {"folder": folder}
    peer = [given.python_torch, str(HERE / "onnx_bert.py")]
    programs = {
        "Regraft": [given.binary or build_example("bench_bert")],
        "ONNX Runtime": [*peer, "onnx"],
        "PyTorch": [*peer, "torch"],
    }
    found = {name: {} for name in programs}
    for _ in range(given.rounds):
        for name, command in programs.items():
            for key, values in call(command, work).items():
                found[name].setdefault(key, []).extend(values)
    sums = [found[name]["sum", ""][0] for name in programs]
    assert max(sums) - min(sums) < 1e-3 * max(sums), f"the programs compute different things: {sums}"
    for key in found["Regraft"]:
        if key[1]:
            medians = {name: statistics.median(found[name][key]) for name in programs}
            ratios = ", ".join(f"{name} {value:.1f} ({medians['Regraft'] / value:.2f}×)" for name, value in medians.items())
            print(f"{key[0]} ({key[1]}): {ratios}")
    print(json.dumps({name: {key[0]: values for key, values in of.items()} for name, of in found.items()}))


if __name__ == "__main__":
    main()
