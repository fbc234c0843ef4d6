"""`lifelog predict`: how many workers, brokers and partitions a wish needs, by the calibration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifelog.capacity.load import Load
    from lifelog.results.prediction import Known

GIGABIT = 1000.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "predict", help="how many workers, brokers and partitions so many images/s need"
    )
    parser.add_argument("images_per_s", type=float, metavar="IMAGES_PER_S", help="the wish")
    parser.add_argument(
        "--calibration", type=Path, default=Path("results/calibration"), metavar="DIR",
        help="results of the experiment calibration, made on machines like these",
    )  # fmt: skip
    parser.add_argument(
        "--set", default="", metavar="KEY=VALUE,...",
        help="settings as in an experiment: encoding, images_per_record, replication, client, ...",
    )  # fmt: skip
    parser.add_argument(
        "--image-bytes", type=int, metavar="N",
        help="bytes of an image as it is sent; by default the calibrated images in that encoding",
    )  # fmt: skip
    parser.add_argument("--cores", type=int, default=8, help="of a node (8)")
    parser.add_argument(
        "--link-mbit", type=float, default=GIGABIT, metavar="MBIT",
        help="of a node's link each way (1000); 0: no limit",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="FACTOR",
        help="of a node's core over one of the calibrated machines' (1.0)",
    )  # fmt: skip
    parser.add_argument(
        "--producers-per-broker", type=int, default=4, metavar="N",
        help="producer processes on each broker's node (4)",
    )  # fmt: skip
    parser.add_argument(
        "--max-nodes", type=int, default=64, metavar="N", help="brokers and workers together (64)"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="plot images/s over nodes")


def run(args: argparse.Namespace) -> int:
    """Run the command; a wish that cannot be had is a UserError that names the limit."""
    from lifelog.capacity.sizing import Nodes, plan
    from lifelog.errors import UserError
    from lifelog.report import sizing
    from lifelog.results.prediction import load_calibration

    _check(args)
    known = load_calibration(args.calibration)
    load = wish(known, args.set, args.image_bytes)
    link = args.link_mbit * 1e6 / 8 if args.link_mbit else None
    nodes = Nodes(args.cores, link, args.producers_per_broker, args.speed)
    found = plan(known.calibration, load, nodes, args.images_per_s, args.max_nodes)
    sizing.show(found, known, nodes)
    if args.svg is not None and found.steps:
        sizing.write_plot(args.svg, found)
        print(f"plot: {args.svg}")
    if found.obstacle:
        raise UserError(f"{args.images_per_s:,.0f} images/s cannot be had: {found.obstacle}")
    return 0


def _check(args: argparse.Namespace) -> None:
    from lifelog.errors import UserError

    for name in ("images_per_s", "cores", "speed", "producers_per_broker", "max_nodes"):
        if not getattr(args, name) > 0 or getattr(args, name) == float("inf"):
            raise UserError(f"{name.replace('_', '-')}: give a number above 0")
    if args.link_mbit < 0:
        raise UserError("link-mbit: give a number above 0, or 0 for no limit")
    if args.image_bytes is not None and args.image_bytes < 1:
        raise UserError("image-bytes: give a number above 0")


def wish(known: Known, overrides: str, image_bytes: int | None) -> Load:
    """The load that is wished for: saturation, all else as calibrated or as `overrides` says.

    UserError where a setting is misspelt or does not go with the others, or where a record would be
    larger than Kafka takes.
    """
    from pydantic import ValidationError

    from lifelog.capacity.load import load_of
    from lifelog.encodings import encoding
    from lifelog.errors import UserError
    from lifelog.experiment.load import parse_overrides
    from lifelog.experiment.settings import Settings, contradictions
    from lifelog.experiment.spec import MAX_RECORD_BYTES

    given = parse_overrides(overrides)
    chosen_here = sorted(
        given.keys() & {"brokers", "workers", "partitions", "producers", "mode", "target_rate"}
    )
    if chosen_here:
        raise UserError(f"set: {chosen_here[0]}: is what predict finds, or has no meaning here")
    unknown = sorted(given.keys() - Settings.model_fields.keys())
    if unknown:
        raise UserError(f"set: {unknown[0]}: is no setting of a point")
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"set: {first['loc'][0]}: {first['msg']}") from None
    wrong = contradictions(settings)
    if wrong:
        raise UserError(f"set: {wrong[0][0]}: {wrong[0][1]}")
    if image_bytes is None:
        values = {
            own.load.image_bytes / encoding(own.load.encoding).bytes_per_value
            for own in known.observations
        }
        image_bytes = int(max(values)) * encoding(settings.encoding).bytes_per_value
    load = load_of(settings.model_dump(), image_bytes)
    if load.engine not in known.calibration.parts.engines and not load.sleeps:
        engines = ", ".join(known.calibration.parts.engines)
        raise UserError(
            f"{load.engine} was not calibrated, and nothing says what it costs: "
            f"{known.directory} has {engines}"
        )
    most = MAX_RECORD_BYTES // image_bytes
    if load.images_per_record > most:
        raise UserError(
            f"{load.images_per_record} images of {image_bytes:,} bytes are no record that Kafka "
            f"takes ({MAX_RECORD_BYTES:,} bytes): "
            + (f"set images_per_record to {most} or less" if most else "the image is too large")
        )
    return load
