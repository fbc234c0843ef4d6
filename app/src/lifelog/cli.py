"""The command line: `lifelog COMMAND ...`, one module of `lifelog.commands` for each."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence

from lifelog import commands
from lifelog.errors import UserError, brief, keep_traceback

USER_FAULT = 2
OUR_FAULT = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    The one error boundary: a fault of the user's is one line (2), one of ours leaves its traceback
    in a file that one line names (1), Ctrl-C gives 130.
    """
    try:
        parser, runners = _parser()
        args = parser.parse_args(argv)
        return runners[args.command](args)
    except SystemExit as stop:
        # argparse has printed what it had to say.
        return stop.code if isinstance(stop.code, int) else USER_FAULT
    except UserError as error:
        print(f"lifelog: {error}", file=sys.stderr)
        return USER_FAULT
    except KeyboardInterrupt:
        print("lifelog: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough; nothing may be written to it any more, at exit either.
        sys.stdout = None
        return OUR_FAULT
    except Exception as error:
        note = f"internal error, {brief(error)} (see {keep_traceback(error)})"
        print(f"lifelog: {note}", file=sys.stderr)
        return OUR_FAULT


def _parser() -> tuple[argparse.ArgumentParser, dict[str, Callable[[argparse.Namespace], int]]]:
    parser = argparse.ArgumentParser(
        prog="lifelog",
        description="Testbed for streaming deep-learning inference.",
        epilog="For people: experiments, compare, predict, report, residuals, verify, prepare. The playbooks call "
        "the others.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    runners: dict[str, Callable[[argparse.Namespace], int]] = {}
    for info in pkgutil.iter_modules(commands.__path__):
        # Command modules import the rest of the package, and its libraries, only when they run.
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        known = set(subparsers.choices)
        module.add_parser(subparsers)
        for name in set(subparsers.choices) - known:
            runners[name] = module.run
    return parser, runners
