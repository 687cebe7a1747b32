#!/usr/bin/env python3
"""Runs Regraft and its peers on the same work and prints their ratios. README.md says what the work is.

    python benches/peers/run.py [--peers regraft,keras-tensorflow,keras-jax,torch,candle]
        [--epochs N] [--samples N] [--rounds N] [--json FILE] [--binary FILE]

Needs numpy and h5py itself; a peer whose package is missing is left out. With several rounds the peers
take turns and each number is the median of its rounds.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from drive import HERE, ROOT, Unavailable, build_example, cargo, need

WEIGHTS = ROOT / "fixtures" / "fashion_mnist_base.weights.h5"
LAYERS = ("dense", "dense_1", "dense_2", "dense_3")


def make_data(directory, samples):
    """The random samples, and the same weights in the three formats the peers read."""
    rng = np.random.default_rng(0)
    rng.random((samples, 784), dtype=np.float32).astype("<f4").tofile(directory / "x.f32")
    rng.integers(0, 10, samples).astype("<i4").tofile(directory / "y.i32")
    (directory / "base.weights.h5").write_bytes(WEIGHTS.read_bytes())
    arrays = {}
    with h5py.File(WEIGHTS) as file:
        for layer in LAYERS:
            for index, name in enumerate(("kernel", "bias")):
                arrays[f"{layer}/{name}"] = file[f"layers/{layer}/vars/{index}"][()].astype("<f4")
    np.savez(directory / "base.npz", **arrays)
    header, blob = {}, b""
    for name, value in arrays.items():
        start, blob = len(blob), blob + value.tobytes()
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [start, len(blob)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (directory / "base.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)


def regraft(given):
    if given.binary:
        return [given.binary], {}
    return [build_example("bench_mlp")], {}


def keras_on(backend, package):
    def command(given):
        need(sys.executable, "keras", package)
        return [sys.executable, str(HERE / "keras_mlp.py")], {"KERAS_BACKEND": backend}

    return command


def torch(given):
    need(sys.executable, "torch")
    return [sys.executable, str(HERE / "torch_mlp.py")], {}


def candle(given):
    target = ROOT / "target" / "peers"
    manifest = str(HERE / "candle" / "Cargo.toml")
    cargo("build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", str(target))
    return [str(target / "release" / "candle-mlp")], {}


PEERS = {
    "regraft": regraft,
    "keras-tensorflow": keras_on("tensorflow", "tensorflow"),
    "keras-jax": keras_on("jax", "jax"),
    "torch": torch,
    "candle": candle,
}


def call(command, environment, mode, directory, epochs):
    """The printed objects, the wall time and the largest resident memory of one process."""
    arguments = [*command, mode, str(directory)] + (["--epochs", str(epochs)] if epochs else [])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.time()
        process = subprocess.Popen(
            arguments, stdout=out, stderr=err, env={**os.environ, **environment, "BENCH_STARTED": repr(began)}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.time() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            last = (err.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise Unavailable(f"exit status {process.returncode}: {last}")
        lines = [json.loads(line) for line in out.read().decode().splitlines() if line.startswith("{")]
    return lines, seconds, usage.ru_maxrss * 1024  # Linux counts in KiB


def run_round(name, command, environment, directory, epochs):
    """One peer's numbers: {measure: value}."""
    numbers = {}
    for line in call(command, environment, "epochs", directory, epochs)[0]:
        numbers[f"{line['name']}, first epoch (s)"] = line["first_epoch_s"]
        numbers[f"{line['name']}, later epochs (s)"] = line["later_epoch_s"]
    (line,), seconds, memory = call(command, environment, "process", directory, epochs)
    numbers["process, whole (s)"] = seconds
    numbers["process, start to first step (s)"] = line["first_step_s"]
    data = (directory / "x.f32").stat().st_size + (directory / "y.i32").stat().st_size
    numbers["process, memory beyond the data (MB)"] = (memory - data) / 1e6
    return numbers


def table(results, names):
    measures = list(dict.fromkeys(measure for peer in results.values() for measure in peer))
    print("\n| |", " | ".join(names), "|\n|" + "---|" * (len(names) + 1))
    for measure in measures:
        ours = results.get("regraft", {}).get(measure)
        cells = []
        for name in names:
            value = results[name].get(measure)
            if value is None:
                cells.append("")
            elif name != "regraft" and ours and ours > 0:
                cells.append(f"{value:.4g} ({value / ours:.1f}×)")
            else:
                cells.append(f"{value:.4g}")
        print(f"| {measure} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--epochs", type=int, help="for every mode; each program has its own default")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write all numbers of all rounds to this file")
    parser.add_argument("--binary", help="our program, already built, instead of building bench_mlp")
    given = parser.parse_args()

    programs, rounds, reasons = {}, {}, {}
    for name in given.peers.split(","):
        if name not in PEERS:
            parser.error(f"no peer is called {name!r}; there are {', '.join(PEERS)}")
        try:
            programs[name] = PEERS[name](given)
        except Unavailable as reason:
            reasons[name] = reason
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        # In a process of its own: a child's largest memory counts what its parent held when it was
        # started.
        make = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import run; " \
            "run.make_data(pathlib.Path(sys.argv[2]), int(sys.argv[3]))"
        arguments = [sys.executable, "-c", make, str(HERE), temporary, str(given.samples)]
        subprocess.run(arguments, check=True)
        for number in range(given.rounds):
            for name, (command, environment) in list(programs.items()):
                print(f"round {number + 1} of {given.rounds}: {name}", file=sys.stderr, flush=True)
                try:
                    numbers = run_round(name, command, environment, directory, given.epochs)
                    rounds.setdefault(name, []).append(numbers)
                except Unavailable as reason:
                    reasons[name] = reason
                    del programs[name]
    results = {
        name: {measure: statistics.median(one[measure] for one in each) for measure in each[0]}
        for name, each in rounds.items()
    }
    print(f"{given.samples} samples, {given.rounds} round(s), {os.cpu_count()} cores; in brackets: times Regraft's")
    table(results, list(results))
    for name, reason in reasons.items():
        print(f"\n{name} did not run: {reason}")
    if given.json:
        given.json.write_text(json.dumps(rounds, indent=1) + "\n")


if __name__ == "__main__":
    main()
