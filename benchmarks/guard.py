"""Whether our own code has become slower since a revision: a guard for machines whose speed changes.

Each case of `guarding/cases.py` is done by two processes, one with the package as it was and one as it is
now, in turn and in a changing order, so that both meet the same machine. Processor time counts, and its
ratio. Nothing has to run.

    PYTHONPATH=app/src .venv/bin/python benchmarks/guard.py --base HEAD~1
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guarding.cases import CASES

from lifelog.errors import UserError
from lifelog.stats.runs import ratio_interval

PROJECT = Path(__file__).resolve().parent.parent
SOURCES = "app/src"
# More processor time than this, for all that the interval says, is a regression.
SLOWER = 0.03
END_TIMEOUT_S = 10.0


class Timed:
    """A process that does one case as often as it is asked to; `reason` says why it cannot."""

    def __init__(self, source: Path, case: str) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "guarding.cases", case],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **one_thread, "PYTHONPATH": f"{source}:{PROJECT / 'benchmarks'}"},
        )  # fmt: skip
        self.reason = "" if self._answer() == "ready" else "it cannot be done there (see above)"

    def __enter__(self) -> Timed:
        return self

    def __exit__(self, *_: object) -> None:
        # It ends with its input, and takes its directory with it.
        try:
            self._process.communicate(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def seconds(self) -> float:
        """Processor time of the case, done once."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def source_of(revision: str, directory: Path) -> Path:
    """The package as it was at a revision, below `directory`; UserError where git does not know it."""
    command = ["git", "-C", str(PROJECT), "archive", revision, SOURCES]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise UserError(f"--base {revision}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory / SOURCES


def compare(case: str, before: Path, after: Path, rounds: int) -> tuple[str, bool]:
    """One line about a case, and whether it has become slower."""
    with Timed(before, case) as old, Timed(after, case) as new:
        for which, own in (("before", old), ("now", new)):
            if own.reason:
                return f"{which}: {own.reason}", which == "now"
        times: dict[Timed, list[float]] = {old: [], new: []}
        # The first one fills caches.
        for number in range(rounds + 1):
            for own in (old, new) if number % 2 else (new, old):
                seconds = own.seconds()
                if number:
                    times[own].append(seconds)
        found = ratio_interval(times[old], times[new])
        assert found.ci95 is not None
        low, high = found.ci95
        text = f"{found.ratio:.3f} times as much ({low:.3f} to {high:.3f})"
        slower = low > 1 + SLOWER
        return text + ("  SLOWER" if slower else ""), slower


def main(argv: Sequence[str] | None = None) -> int:
    """Compare all cases: 0; 1 where one has become slower or cannot be done any more, 2 where it cannot begin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD", help="the revision to compare with (%(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--case", choices=list(CASES), action="append", help="only this one")
    args = parser.parse_args(argv)
    if args.rounds < 3:
        parser.error("--rounds: give 3 or more")
    worse = False
    with tempfile.TemporaryDirectory(prefix="lifelog-guard-") as directory:
        try:
            before = source_of(args.base, Path(directory))
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
        for case in args.case or CASES:
            text, slower = compare(case, before, PROJECT / SOURCES, args.rounds)
            print(f"{case:28} {text}", flush=True)
            worse |= slower
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
