"""The testbed beside what a user would pick instead: images/s from one topic into one network.

Needs running brokers and the cache (`./testbed run` leaves both), the packages of `./testbed test`,
and no other load. The peers take turns, in an order that rotates from round to round;
docs/performance.md says what is compared, and how.

    PYTHONPATH=app/src .venv/bin/python benchmarks/peers.py --servers ADDRESS:9092 --json FILE
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import psutil

from comparison.command import say
from comparison.environments import flink_jar, python_of, versions
from comparison.figure import shares
from comparison.measure import Bench, PeerError, paced, saturated
from comparison.registry import PEERS, Peer, add_variants
from comparison.setup import filled_bench, ready
from comparison.summary import missing, rotated, summarise, table
from lifelog.errors import UserError
from lifelog.jsonfiles import write_json
from lifelog.report.drawing import standalone
from lifelog.report.marked import check_marks, write_page

ATTEMPTS = 2
LEAST_IMAGES = 10_000
# More than that is told: the figures are not of a quiet machine.
FOREIGN_LOAD_PERCENT = 10.0


def _tried(
    kind: str, peer: Peer, work: Callable[[], dict[str, Any]], attempts: list[dict[str, str]]
) -> dict[str, Any] | None:
    """What `work` returns; after ATTEMPTS failures None. Each failure is added to `attempts`."""
    for number in range(1, ATTEMPTS + 1):
        try:
            return work()
        except (PeerError, RuntimeError, ValueError) as error:
            command = getattr(error, "command", peer.script)
            attempts.append({"kind": kind, "command": command, "error": str(error)})
            say(f"{peer.name}, {kind}: attempt {number} of {ATTEMPTS} failed: {error}")
    say(f"{peer.name} has no {kind} run in this round: it failed {ATTEMPTS} times")
    return None


def measure(peer: Peer, bench: Bench, with_latency: bool) -> dict[str, Any]:
    """Results of one peer in one round, and its failures; no results of what failed twice."""
    attempts: list[dict[str, str]] = []
    result: dict[str, Any] = {"saturated": None, "paced": None, "attempts": attempts}
    # Brokers that nobody uses take some percent themselves.
    result["busy_before_percent"] = busy = psutil.cpu_percent(interval=1.0)
    if busy > FOREIGN_LOAD_PERCENT:
        say(f"{peer.name}: this machine's cores are {busy:.0f} % busy with other work")
    result["saturated"] = found = _tried(
        "saturated", peer, lambda: saturated(peer, bench), attempts
    )
    if found is None:
        return result
    say(
        f"{peer.name}: {found['images_per_s']:,.0f} images/s, "
        f"{found['images_per_worker_cpu_s']:,.0f} per worker CPU-second, "
        f"{found['peak_pss_mb']:,.0f} MB, accuracy {found['accuracy']:.2%}, "
        f"first prediction after {found['first_prediction_s']:.1f} s"
    )
    if with_latency and peer.has_topic:
        half = found["images_per_s"] / 2
        result["paced"] = late = _tried("paced", peer, lambda: paced(peer, bench, half), attempts)
        if late is not None:
            p50, p99 = (late["latency_ms"][q] for q in ("p50", "p99"))
            say(f"{peer.name}: {p50:,.0f} ms p50, {p99:,.0f} ms p99 at {half:,.0f} images/s")
    return result


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"peers: {message} (see --help)\n")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line; exits with status 2 and one sentence where it is wrong."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument("--json", type=Path, required=True, help="file for all figures")
    parser.add_argument("--page", type=Path, help="Markdown page whose markers get the table")
    parser.add_argument("--mark", default="peers", help="which markers")
    parser.add_argument("--figure", type=Path, help="file for the figure, .svg")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=4, help="of the topic")
    parser.add_argument("--images-per-record", type=int, default=1)
    parser.add_argument("--images", type=int, default=2_000_000, help="in the topic")
    parser.add_argument("--longest", type=float, default=60.0, help="seconds of a saturated run")
    parser.add_argument("--paced", type=float, default=30.0, help="seconds at half load; 0: none")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--images-per-call", type=int, default=100)
    parser.add_argument("--trigger", type=int, default=1000, help="ms; also Quix's commit interval")
    parser.add_argument(
        "--images-per-trigger", type=int, default=150_000, help="cap of Spark peers' micro-batches"
    )
    parser.add_argument("--keep", type=Path, help="directory in which files and logs of runs stay")
    parser.add_argument(
        "--peers", help="NAME[,...], in this order; all that take such records by default"
    )
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME:KEY=VALUE",
        help="one more peer: the testbed with a Spark property, or an option of its Kafka source, "
        "set; may come again, for the same name too",
    )  # fmt: skip
    args = parser.parse_args(argv)
    try:
        bundled = args.images_per_record > 1
        able = [name for name, peer in PEERS.items() if peer.bundles or not bundled]
        args.peers = args.peers.split(",") if args.peers else able
        args.peers += add_variants(args.variant)
    except UserError as error:
        parser.error(str(error))
    unknown = [name for name in args.peers if name not in PEERS]
    if unknown:
        parser.error(f"there is no peer {unknown[0]!r}: choose of {', '.join(PEERS)}")
    unable = [name for name in args.peers if bundled and not PEERS[name].bundles]
    if unable:
        parser.error(f"{unable[0]} takes records of one image: leave --images-per-record out")
    for name in (
        *("rounds", "cores", "images_per_call", "trigger", "images_per_trigger", "longest"),
        *("partitions", "images_per_record"),
    ):
        if getattr(args, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    if args.images % args.images_per_record:
        parser.error("--images must be whole records of --images-per-record")
    if args.images < LEAST_IMAGES:
        parser.error(f"--images must be at least {LEAST_IMAGES}: fewer give no rate")
    if not args.json.parent.is_dir():
        parser.error(f"--json {args.json}: there is no directory {args.json.parent}")
    if args.keep and not args.keep.is_dir():
        parser.error(f"--keep {args.keep}: there is no such directory")
    if args.page and not args.page.is_file():
        parser.error(f"--page {args.page}: there is no such file")
    return args


def machine() -> dict[str, Any]:
    """What the figures depend on beside the peers."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8")
    model = next((x.partition(": ")[2] for x in cpuinfo.splitlines() if "model name" in x), "?")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000,
        "kernel": platform.release(),
        "load_before": os.getloadavg(),
        # They choose the kernels of NumPy's BLAS.
        "openblas": {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")},
    }


def run(args: argparse.Namespace, work: Path) -> int:
    """Fill the topic, run the rounds, write what was asked for; returns 1 where a peer is missing."""
    # Before minutes of installing.
    ready(args.servers)
    check_marks(args.page, args.mark)
    setup_errors: dict[str, str] = {}
    jar, used = "", {}
    for name in args.peers:
        peer = PEERS[name]
        try:
            used[name] = versions(python_of(peer.environment), ("numpy", "chainer", *peer.packages))
            jar = flink_jar() if peer.environment == "flink" else jar
        except (RuntimeError, OSError) as error:
            # Tried once more, and kept, when its turn comes.
            setup_errors[name] = str(error)
            say(f"{name}: {error}")
    report: dict[str, Any] = {
        "format": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
        "settings": {
            key: getattr(args, key)
            for key in (
                *("rounds", "images", "longest", "paced", "cores", "images_per_call", "trigger"),
                *("images_per_trigger", "partitions", "images_per_record", "peers", "variant"),
            )
        },
        "versions": used,
        "setup_errors": setup_errors,
        "rounds": [],
    }
    choices = {
        "partitions": args.partitions, "images": args.images, "cores": args.cores,
        "images_per_record": args.images_per_record,
        # Twice the testbed's default: it expects that producers need half of the cores, and here are none.
        "batch_cap_s": 6.0,
        "images_per_call": args.images_per_call, "trigger_ms": args.trigger,
        "images_per_trigger": args.images_per_trigger, "paced_s": args.paced, "flink_jar": jar,
    }  # fmt: skip
    with filled_bench(args.servers, work, args.longest, say, **choices) as (bench, bundles):
        report |= {"dataset": bundles["dataset"], "model": bundles["model"]}
        for number in range(args.rounds):
            say(f"round {number + 1} of {args.rounds}")
            report["rounds"].append({})
            for name in rotated(args.peers, number):
                result = measure(PEERS[name], bench, args.paced > 0)
                report["rounds"][-1][name] = result
                # After each peer: an interruption keeps what was measured.
                _write(args, report)
    print(report["table"])
    for sentence in report["missing"]:
        print(sentence)
    if args.figure:
        args.figure.write_text(standalone(shares(report["rounds"], args.peers)), encoding="utf-8")
    if args.page:
        figure = os.path.relpath(args.figure, args.page.parent) if args.figure else None
        shown = f"![Shares of bare Chainer]({figure})" if figure else ""
        text = "\n\n".join([_origin(report), report["table"], *report["missing"], shown])
        write_page(args.page, args.mark, text)
    return int(bool(report["missing"]))


def _origin(report: dict[str, Any]) -> str:
    machine, busy = report["machine"], report["busy_before_percent"]
    return (
        f"Medians of {len(report['rounds'])} rounds, {report['started'][:10]}, on "
        f"{machine['cores']} cores of {machine['processor']}, {report['settings']['images']:,} "
        f"images in {report['settings']['partitions']} partitions, "
        f"{report['settings']['images_per_record']} a record. Before the runs the cores were {busy['median']:.0f} % busy with other work "
        f"(median; at most {busy['most']:.0f} %)."
    )


def _write(args: argparse.Namespace, report: dict[str, Any]) -> None:
    rounds = report["rounds"]
    report["summary"] = summarise(rounds, args.peers)
    report["table"] = table(report["summary"])
    report["missing"] = missing(rounds, args.peers)
    busy = [result["busy_before_percent"] for results in rounds for result in results.values()]
    report["busy_before_percent"] = {"most": max(busy), "median": statistics.median(busy)}
    write_json(args.json, report)


def main(argv: list[str] | None = None) -> int:
    """Run the comparison: 0, 1 where a peer is missing, 2 where the command cannot be carried out."""
    args = parse(argv)
    # Ended like Ctrl-C, so that topics and processes do not stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="lifelog-peers-") as work:
        try:
            return run(args, (args.keep or Path(work)).resolve())
        except UserError as error:
            print(f"peers: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("peers: interrupted; all processes and topics of it are gone", file=sys.stderr)
            return 130


if __name__ == "__main__":
    sys.exit(main())
