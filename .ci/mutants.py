"""Tries the mutants that cargo-mutants lists, all built at once.

    .ci/mutants.py build DIR [FILE…]     writes a copy of the project with every mutant behind a number, and builds
    .ci/mutants.py run DIR [--jobs N]    runs the tests with each of them; DIR/report.txt has who caught it

cargo-mutants builds the project anew for each mutant, which is hours here. Its list is taken as it is
(`cargo mutants --list --json`), and each change is put into one copy of the sources behind
`regraft_tensor::mutant(number)`, which is true for the number that the environment names. What does
not compile is left out and counted. Needs `cargo install cargo-mutants` and `pip install tree-sitter
tree-sitter-rust`.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import tree_sitter
import tree_sitter_rust

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What decides that frozen weights stay as they are.
FILES = """
crates/layers/src/contract/freezing.rs crates/layers/src/contract/call.rs crates/layers/src/contract/emission.rs
crates/layers/src/models/emit.rs crates/layers/src/models/freeze.rs crates/layers/src/models/trained_weights.rs
crates/autograd/src/grad.rs crates/autograd/src/passes/cacheable.rs
crates/regraft/src/training/session.rs crates/regraft/src/training/steps.rs crates/regraft/src/training/update.rs
""".split()
# Test binaries in the order in which they are asked, the quick ones first, with the arguments of each and
# the number of random cases, if not all.
TESTS = [
    ("regraft", "test", "frozen", [], 25),
    ("regraft-autograd", "test", "gradients", [], 25),
    ("regraft-layers", "lib", "regraft_layers", [], None),
    ("regraft", "test", "golden_training", [], None),
    ("regraft", "test", "tutorial", [], None),
    ("regraft", "lib", "regraft", ["--skip", "applications"], None),
    ("regraft", "test", "properties", [], None),
    ("regraft-autograd", "test", "executors", [], None),
    ("regraft", "test", "cases", [], None),
    ("regraft", "test", "frozen", [], None),
]
SWITCH = """
/// Whether the mutant of this number is the one that is tried.
pub fn mutant(number: u32) -> bool {
    static TRIED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *TRIED.get_or_init(|| std::env::var("MUTANT").map_or(0, |it| it.parse().unwrap())) == number
}
"""
# Each change begins a line, so that an error of the compiler takes out one mutant alone.
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))


def on(number):
    return f"regraft_tensor::mutant({number})"


class File:
    """A source file with its mutants: `changes` has for a node of the tree the wrappings of its text."""

    def __init__(self, path):
        self.source = path.read_bytes()
        self.tree = PARSER.parse(self.source)
        self.lines = [0]
        for line in self.source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.changes = collections.defaultdict(list)

    def offset(self, place):
        line = self.lines[place["line"] - 1]
        # Columns count characters.
        text = self.source[line : self.lines[place["line"]]].decode()
        return line + len(text[: place["column"] - 1].encode())

    def add(self, number, mutant):
        """Puts the mutant in, or says that it is of a kind that cannot be switched."""
        start, end = (self.offset(mutant["span"][it]) for it in ("start", "end"))
        node = self.tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
        genre, to = mutant["genre"], mutant["replacement"]
        if genre == "BinaryOperator":
            whole = node.parent
            if whole.type not in ("binary_expression", "compound_assignment_expr"):
                return False
            def change(text, parts, to=to, number=number):
                left, right = parts["left"], parts["right"]
                return f"(\nif {on(number)} {{ {left} {to} {right} }}\nelse {{ {text} }})"
            self.changes[key(whole)].append(change)
        elif genre == "UnaryOperator":
            whole = node.parent
            if whole.type != "unary_expression":
                return False
            def change(text, parts, number=number):
                return f"(if {on(number)} {{ {parts['rest']} }} else {{ {text} }})"
            self.changes[key(whole)].append(change)
        elif genre == "FnValue":
            while node.type != "block" or node.parent.type not in ("function_item",):
                node = node.parent
                if node is None:
                    return False
            def change(text, parts, to=to, number=number):
                return f"{{\nif {on(number)} {{ return {to}; }}\n{text} }}"
            self.changes[key(node)].append(change)
        elif genre in ("MatchArmGuard", "MatchArm"):
            while node is not None and node.type != "match_arm":
                node = node.parent
            pattern = node.child_by_field_name("pattern")
            guard = pattern.child_by_field_name("condition")
            if genre == "MatchArm":
                keep = f"!{on(number)}"
                if guard is None:
                    self.changes[key(pattern)].append(lambda text, parts: f"{text} if {keep}")
                else:
                    self.changes[key(guard)].append(lambda text, parts: f"({text}) && {keep}")
            else:
                def change(text, parts, to=to, number=number):
                    return f"(if {on(number)} {{ {to} }} else {{ {text} }})"
                self.changes[key(guard)].append(change)
        elif genre == "StructField":
            while node is not None and "field_initializer" not in node.type:
                node = node.parent
            base = next((it for it in node.parent.children if it.type == "base_field_initializer"), None)
            if base is None:
                return False
            rest = base.text.decode().removeprefix("..")
            def change(text, parts, rest=rest, number=number):
                field, _, value = text.partition(":")
                return f"{field}: if {on(number)} {{ ({rest}).{field} }} else {{ {value or field} }}"
            self.changes[key(node)].append(change)
        else:
            return False
        return True

    def text(self, node):
        """The text of a node with all changes within it."""
        pieces, at = [], node.start_byte
        children = {}
        for child in node.children:
            pieces.append(self.source[at : child.start_byte].decode())
            children[child.id] = self.text(child)
            pieces.append(children[child.id])
            at = child.end_byte
        pieces.append(self.source[at : node.end_byte].decode())
        text = "".join(pieces)
        parts = {}
        for name in ("left", "right"):
            child = node.child_by_field_name(name)
            if child is not None:
                parts[name] = children[child.id]
        if node.type == "unary_expression":
            parts["rest"] = children[node.children[-1].id]
        for change in self.changes.get(key(node), []):
            text = change(text, parts)
        return text


def key(node):
    return (node.start_byte, node.end_byte, node.type)


def build(out, files):
    listed = ["cargo", "mutants", "--list", "--json"] + [it for file in files for it in ("-f", file)]
    mutants = json.loads(subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout)
    out.mkdir(parents=True, exist_ok=True)
    tree = out / "tree"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = names.stdout.splitlines()
    for stale in {str(it.relative_to(tree)) for it in tree.rglob("*.rs")} - set(names):
        (tree / stale).unlink()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if not (tree / name).exists() or (tree / name).read_bytes() != (ROOT / name).read_bytes():
            shutil.copy2(ROOT / name, tree / name)
    lib = tree / "crates/tensor/src/lib.rs"
    lib.write_text((ROOT / "crates/tensor/src/lib.rs").read_text() + SWITCH)
    left_out = {}
    while True:
        places = write(tree, mutants, left_out)
        errors = compile_errors(tree)
        if not errors:
            break
        before = len(left_out)
        for name, line, message in errors:
            for number in places.get((name, line), []):
                left_out.setdefault(number, message)
        print(f"{len(left_out)} left out", flush=True)
        if len(left_out) == before:
            sys.exit("\n".join(map(str, errors[:10])))
    (out / "mutants.json").write_text(json.dumps({"mutants": mutants, "left_out": left_out}))


def write(tree, mutants, left_out):
    """Writes the changed files, and returns which mutants stand on which line."""
    files = {}
    for number, mutant in enumerate(mutants, start=1):
        name = mutant["file"]
        if name not in files:
            files[name] = File(ROOT / name)
        if number not in left_out and not files[name].add(number, mutant):
            left_out[number] = "of a kind that cannot be switched"
    places = collections.defaultdict(list)
    for name, file in files.items():
        text = file.text(file.tree.root_node)
        (tree / name).write_text(text)
        lines = text.split("\n")
        for index, line in enumerate(lines, start=1):
            for number in re.findall(r"regraft_tensor::mutant\((\d+)\)", line):
                places[name, index].append(int(number))
    return places


def compile_errors(tree):
    command = ["cargo", "check", "-p", "regraft", "--message-format=json"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment())
    errors = []
    for line in done.stdout.splitlines():
        message = json.loads(line).get("message") or {}
        if message.get("level") == "error":
            for span in message["spans"]:
                for at in range(span["line_start"], span["line_end"] + 1):
                    errors.append((span["file_name"], at, message["message"]))
    if done.returncode and not errors:
        sys.exit(done.stderr)
    return errors


def environment(number=0, cases=None):
    given = {"MUTANT": str(number), "PROPTEST_MAX_SHRINK_ITERS": "0", "RUSTFLAGS": "-Awarnings"}
    return os.environ | given | ({"PROPTEST_CASES": str(cases)} if cases else {})


def binaries(tree):
    command = ["cargo", "test", "--no-run", "--message-format=json"]
    for package in sorted({package for package, *_ in TESTS}):
        command += ["-p", package]
    done = subprocess.run(command + ["--lib", "--tests"], cwd=tree, stdout=subprocess.PIPE, text=True, env=environment())
    if done.returncode:
        sys.exit("the tests do not build")
    found = {}
    for line in done.stdout.splitlines():
        made = json.loads(line)
        if made.get("executable"):
            where = pathlib.Path(made["manifest_path"]).parent
            found[made["target"]["kind"][0], made["target"]["name"]] = (made["executable"], where)
    return [(name, *found[kind, name], arguments, cases) for _, kind, name, arguments, cases in TESTS]


def outcome(tests, number, times):
    for name, executable, where, arguments, cases in tests:
        limit = 60 + 10 * times.get(name, 60)
        try:
            done = subprocess.run([executable, "-q", *arguments], cwd=where, env=environment(number, cases), timeout=limit,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            if done.returncode:
                return name
        except subprocess.TimeoutExpired:
            return f"{name} (no end)"
    return None


def run(out, jobs):
    tree = out / "tree"
    known = json.loads((out / "mutants.json").read_text())
    tests = binaries(tree)
    times = {}
    for test in tests:
        began = time.time()
        if outcome([test], 0, {}):
            sys.exit(f"{test[0]} fails without a mutant")
        times[test[0]] = time.time() - began
    print(times, flush=True)
    left_out = {int(number): why for number, why in known["left_out"].items()}
    numbers = [it for it in range(1, len(known["mutants"]) + 1) if it not in left_out]
    numbers.sort(key=lambda number: FILES.index(known["mutants"][number - 1]["file"]))
    caught = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda number: (number, outcome(tests, number, times)), numbers)
        for number, by in results:
            caught[number] = by
            print(number, by or "SURVIVED: " + known["mutants"][number - 1]["name"], flush=True)
    by = collections.Counter(it or "nobody" for it in caught.values())
    report = [f"{len(caught)} tried, {len(left_out)} do not compile or cannot be switched; caught by {dict(by)}"]
    report += ["", "Not caught:"] + [known["mutants"][n - 1]["name"] for n, it in caught.items() if it is None]
    report += ["", "Not tried:"] + [f"{known['mutants'][n - 1]['name']}: {why}" for n, why in left_out.items()]
    (out / "report.txt").write_text("\n".join(report) + "\n")
    print("\n".join(report))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("act", choices=["build", "run"])
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.act == "build":
        build(given.dir.resolve(), given.files)
    else:
        run(given.dir.resolve(), given.jobs)


if __name__ == "__main__":
    main()
