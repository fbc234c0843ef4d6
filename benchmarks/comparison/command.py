"""What the commands of the benchmarks share: a line of progress, and how a command ends."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from comparison.measure import PeerError
from lifelog.errors import UserError


def say(line: str) -> None:
    """One line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def carry_out(name: str, gone: str, body: Callable[[Path], int]) -> int:
    """What `body` returns, called with a directory that is removed afterwards.

    2 where it cannot begin, 1 where a run fails, 130 where it was interrupted: each with a sentence.
    `gone`: what nothing is left of then.
    """
    # Ended like Ctrl-C, so that topics and processes do not stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix=f"lifelog-{name}-") as work:
        try:
            return body(Path(work))
        except UserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        except (PeerError, RuntimeError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{name}: interrupted; {gone} are gone", file=sys.stderr)
            return 130
