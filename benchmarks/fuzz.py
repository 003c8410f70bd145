"""Every reader given files that are wrong: none may crash, take more than two seconds or fail without a sentence.

    python benchmarks/fuzz.py --inputs 100000 --seed 0 --json results/reliability.json
    python benchmarks/fuzz.py --only bundle --inputs 2000            # what has "bundle" in its name
    python benchmarks/fuzz.py --replay fuzz-failures/0012345-bundle--classify

Input number i is a file of ``fuzz_targets.cases()``, made wrong by ``fuzz_inputs`` with a random number generator that
is a function of seed and i. It fails when reading it raises anything but an error of ``crnn.errors``, when that error
names neither the file nor what is in it, when it takes more than two seconds of processor time or twenty of the clock,
needs more than 3 GB of memory, or ends the process. What fails is kept, with its error, in ``--failures``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import resource
import shutil
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from fuzz_inputs import spoiled
from fuzz_server import server_cases
from fuzz_shards import shard_cases
from fuzz_targets import Case, cases, shrink
from reliability import note

from crnn.errors import CrnnError, SettingsError

SECONDS, CLOCK = 2.0, 20.0
MEMORY = 3 << 30


def all_cases() -> list[Case]:
    """All that is fuzzed, always in the same order."""
    with TemporaryDirectory() as folder:
        return [*cases(), *server_cases(Path(folder), shrink), *shard_cases(Path(folder))]


def why_wrong(case: Case, folder: Path) -> str:
    """How ``case`` fails on what lies in ``folder``; ``""`` if it does not."""
    began = time.process_time()
    try:
        found = case.run(folder if case.whole else folder / case.bent)
    except CrnnError as error:
        found = [error]
    except Exception:
        return traceback.format_exc()
    took = time.process_time() - began
    if took > SECONDS:
        return f"took {took:.1f} seconds of the processor"
    names = [Path(name).name for name in case.files] + [folder.name]
    for error in found:
        said = str(error)
        if not isinstance(error, SettingsError) and error.file is None and not any(name in said for name in names):
            return f"names no file: {said}"
        if not (error.given and error.expected and error.do):
            return f"says too little: {said}"
    return ""


def named(case: Case) -> str:
    """What its folder is called."""
    return re.sub(r"\W", "-", case.name)


def laid(case: Case, folder: Path) -> Path:
    """The files of ``case`` in a folder of their own, whole."""
    place = folder / named(case)
    if not place.exists():
        for name, data in case.files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
    return place


def work(other: Any, pipe: Any, numbers: range, chosen: list[Case], seed: int, folder: Path) -> None:
    """Try the inputs ``numbers``; each is told before it begins, and how it failed after it."""
    other.close()  # so that a process without its parent ends
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in numbers:
        rng = random.Random(f"{seed}:{number}")
        case = chosen[rng.randrange(len(chosen))]
        place = folder / named(case)
        if not place.exists():  # what is right is read once, so that nothing is begun while the clock runs
            laid(case, folder)
            assert not (wrong := why_wrong(case, place)), f"{case.name}: {wrong}"
        pipe.send((number, case.name))
        (place / case.bent).write_bytes(spoiled(case.files[case.bent], Path(case.bent).suffix.lower(), rng))
        began = time.perf_counter()
        wrong = why_wrong(case, place)
        pipe.send((wrong, time.perf_counter() - began))
    pipe.send(None)


class Hunt:
    """Inputs tried in a process that is begun anew whenever one of them ends it."""

    def __init__(self, chosen: list[Case], seed: int, kept: Path) -> None:
        self.chosen, self.seed, self.kept = chosen, seed, kept
        self.by_name = {case.name: case for case in chosen}
        self.failures: list[tuple[int, str, str]] = []
        self.tried: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.slowest = (0.0, 0, "")

    def go(self, numbers: range) -> None:
        """Try them all."""
        while numbers:
            with TemporaryDirectory() as folder:
                numbers = numbers[numbers.index(self._some(numbers, Path(folder))) + 1 :]

    def _some(self, numbers: range, folder: Path) -> int:
        """Try them until the process ends; the last that was tried."""
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(here, there, numbers, self.chosen, self.seed, folder), daemon=True
        )
        process.start()
        there.close()
        number, name = numbers[0], ""
        try:
            while (told := here.recv()) is not None:
                number, name = told
                self.tried[name] += 1
                if not here.poll(CLOCK):
                    self._keep(number, name, f"took more than {CLOCK:.0f} seconds of the clock", folder)
                    process.kill()
                    break
                wrong, took = here.recv()
                self.seconds[name] += took
                self.slowest = max(self.slowest, (took, number, name))
                if wrong:
                    self._keep(number, name, wrong, folder)
                if len(self.tried) and self.tried.total() % 1000 == 0:
                    print(f"{self.tried.total():,} inputs, {len(self.failures)} failures", flush=True)
        except EOFError:
            process.join()
            self._keep(number, name, f"ended the process ({process.exitcode})", folder)
        process.join()
        return number

    def _keep(self, number: int, name: str, wrong: str, folder: Path) -> None:
        self.failures.append((number, name, wrong))
        place = laid(self.by_name[name], folder)
        target = self.kept / f"{number:07}-{place.name}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(place, target)
        (target / "why.txt").write_text(f"{name}\n{wrong}\n", encoding="utf-8")
        print(f"input {number}, {name}: {wrong.strip().splitlines()[-1][:300]}\n  --replay {target}", flush=True)


def replay(folder: Path) -> None:
    """Try one that was kept."""
    name = (folder / "why.txt").read_text(encoding="utf-8").splitlines()[0]
    case = next(case for case in all_cases() if case.name == name)
    print(why_wrong(case, folder) or "is read, or refused in a sentence")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases with this in their names, or all")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="folder for what fails")
    parser.add_argument("--replay", type=Path, help="a folder in there")
    parser.add_argument("--json", type=Path, help="file to write the figures into, beside what stands in it")
    given = parser.parse_args()
    if given.replay:
        replay(given.replay)
        return 0
    began = time.perf_counter()
    hunt = Hunt([case for case in all_cases() if given.only in case.name], given.seed, given.failures)
    print(f"{len(hunt.chosen)} cases, made in {time.perf_counter() - began:.0f} s", flush=True)
    hunt.go(range(given.first, given.first + given.inputs))
    for name, took in hunt.seconds.most_common(5):
        print(f"{1000 * took / hunt.tried[name]:.1f} ms each: {name} ({hunt.tried[name]})")
    took, number, name = hunt.slowest
    print(f"slowest {took:.2f} s: input {number}, {name}")
    print(f"{hunt.tried.total():,} inputs, {len(hunt.failures)} failures, {time.perf_counter() - began:.0f} s")
    if given.json:
        figures = {"fuzz_inputs": hunt.tried.total(), "fuzz_failures": len(hunt.failures)}
        command = f"python benchmarks/fuzz.py --inputs {given.inputs} --seed {given.seed} --json {given.json}"
        note(given.json, figures, command, given.seed)
    return 1 if hunt.failures else 0


if __name__ == "__main__":
    sys.exit(main())
