"""Fills the tables and the figure of docs/paper.md: python docs/paper_unknowns.py [--samples N] [--seed N]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "app/src"))

from lifelog.capacity.unknowns import region  # noqa: E402
from lifelog.experiment.load import load_experiment  # noqa: E402
from lifelog.report.drawing import standalone  # noqa: E402
from lifelog.report.marked import fill  # noqa: E402
from lifelog.report.unknowns import corner, page  # noqa: E402

FIGURES = ("fig2", "fig3", "fig4")
# What share two rates must differ by to be told apart; the first is the one that the page shows.
VISIBLE = (0.1, 0.05, 0.02)


def main() -> int:
    """Draw, keep, and write the page and the figure beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--samples", type=int, default=5_000_000, help="clusters drawn (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--page", type=Path, default=PROJECT / "docs/paper.md")
    args = parser.parse_args()
    experiments = [load_experiment(PROJECT / f"experiments/{name}.yml") for name in FIGURES]
    regions = [region(experiments, args.samples, args.seed, visible) for visible in VISIBLE]
    if not all(len(own.kept) for own in regions):
        parser.error("no cluster is left by which all claims hold: draw more (--samples)")
    text = args.page.read_text("utf-8")
    for name, table in page(regions, experiments).items():
        text = fill(text, name, table)
    args.page.write_text(text, encoding="utf-8")
    args.page.with_name("paper_unknowns.svg").write_text(standalone(corner(regions[0])), "utf-8")
    print(f"{len(regions[0].kept):,} of {regions[0].drawn:,} clusters are left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
