"""Heads on the same features: Regraft's beside scikit-learn's logistic regression, cross-validated.

    python benches/peers/heads.py PROGRAM NAME=FEATURES.npy,LABELS.npy [...] [--seeds 5] [--of-class 5 20 100] [--quick]

PROGRAM is `target/release/examples/heads_peer` (`cargo build --release -p regraft-heads --example heads_peer`). Needs
numpy and scikit-learn. Of each data set 5, 20 or 100 samples of each class, but 60 of 100 of them at most, are learnt from
and the rest is for testing, five times anew; then 10 of 100 labels of all samples are made wrong, and how well the ranking of
suspects finds them is measured. Printed are markdown tables.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

HEADS = ["ridge", "lda", "logistic", "nearest mean", "best"]


def ours(program, train, labels, test, test_labels):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, x, y in [("train", train, labels), ("test", test, test_labels)]:
            x.astype("<f4").tofile(folder / f"{name}.f32")
            y.astype("<i4").tofile(folder / f"{name}.i32")
        run = subprocess.run([program, folder, str(train.shape[1])], check=True, capture_output=True, text=True)
    return {row["name"]: row for row in map(json.loads, run.stdout.splitlines())}


def ece(p, y):
    best, hit = p.max(1), p.argmax(1) == y
    bins = np.minimum((best * 15).astype(int), 14)
    return np.abs(np.bincount(bins, best - hit, 15)).sum() / len(y)


def theirs(train, labels, test, test_labels):
    scale = StandardScaler(with_mean=True, with_std=False).fit(train)
    spread = (train - train.mean(0)).std()
    began = time.perf_counter()
    model = LogisticRegressionCV(
        Cs=np.logspace(-3, 1, 5), cv=5, max_iter=2000, scoring="neg_log_loss", n_jobs=2, l1_ratios=(0,), use_legacy_attributes=False
    ).fit(scale.transform(train) / spread, labels)
    seconds = time.perf_counter() - began
    p = model.predict_proba(scale.transform(test) / spread)
    loss = -np.log(np.maximum(p[np.arange(len(p)), test_labels], 1e-30)).mean()
    return {"seconds": seconds, "scores": [(p.argmax(1) == test_labels).mean(), loss, ece(p, test_labels)]}


def split(y, per_class, rng):
    train = []
    for label in np.unique(y):
        of = rng.permutation(np.flatnonzero(y == label))
        train += of[: min(per_class, int(0.6 * len(of)))].tolist()
    chosen = np.zeros(len(y), bool)
    chosen[train] = True
    return chosen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--of-class", type=int, nargs="+", default=[5, 20, 100], help="samples to learn from")
    parser.add_argument("--quick", action="store_true", help="without scikit-learn")
    options = parser.parse_args()
    accuracy, faults = [], []
    for data in options.data:
        name, files = data.split("=")
        x, y = (np.load(file) for file in files.split(","))
        for per_class in options.of_class:
            rows = {}
            for seed in range(options.seeds):
                train = split(y, per_class, np.random.default_rng(seed))
                sides = x[train], y[train], x[~train], y[~train]
                found = ours(options.program, *sides)
                if not options.quick:
                    found["scikit-learn"] = theirs(*sides)
                for head, row in found.items():
                    estimate = row.get("estimate") or [np.nan] * 3
                    # What it estimates is the accuracy on classes as common as in the samples.
                    hit = np.array(row.get("predictions", sides[3])) == sides[3]
                    share = np.bincount(sides[1]) / len(sides[1])
                    expected = sum(s * hit[sides[3] == k].mean() for k, s in enumerate(share))
                    rows.setdefault(head, []).append(row["scores"] + [row["seconds"], estimate[0] - expected])
            for head, values in rows.items():
                mean = np.mean(values, 0)
                least = np.min(values, 0)[3]
                accuracy.append(
                    f"| {name} | {per_class} | {head} | {mean[0]:.3f} | {mean[1]:.3f} | {mean[2]:.3f} "
                    f"| {mean[4]:+.3f} | {least:.2f} |"
                )
            print("\n".join(accuracy[-len(rows) :]), flush=True)
        for seed in range(min(options.seeds, 2)):
            rng = np.random.default_rng(100 + seed)
            classes = y.max() + 1
            wrong = rng.random(len(y)) < 0.1
            labels = np.where(wrong, (y + rng.integers(1, classes, len(y))) % classes, y)
            found = ours(options.program, x, labels, x[:1], labels[:1])
            cells = []
            for head in HEADS:
                rank = np.empty(len(y))
                rank[found[head]["suspects"]] = np.arange(len(y))
                cells.append(f"{roc_auc_score(wrong, -rank):.3f}")
            clean = ours(options.program, x, y, x[:1], y[:1])
            faults.append(f"| {name} | {seed} | {' | '.join(cells)} | {clean['ridge']['unknown']:.3f} |")
            print(faults[-1], flush=True)
    print("\n| features | of a class | head | accuracy | log-loss | calibration error | estimate less accuracy | s |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(accuracy))
    print(f"\n| features | seed | {' | '.join(HEADS)} | unknown class |")
    print("|---|---|" + "---|" * (len(HEADS) + 1))
    print("\n".join(faults))


if __name__ == "__main__":
    main()
