"""The consumer's process: it serves one run after the other, as they are handed over.

It lives in a session directory on the driver's node. `next.json` there names the run directory to
do next, `session.json` the key of the application that the process holds.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from lifelog.consumer.application import Application, application_key
from lifelog.consumer.driver import Consumer
from lifelog.jsonfiles import read_json, write_json
from lifelog.node.jobs import Job, detach, end_process_tree, lease_left_s, running, stop_jobs, watch


def hand_over(run: Path, session: Path, bundles: Path, jars: Path) -> None:
    """Give a run to the application of the session directory; start a fresh one where none fits."""
    key = application_key(Job(run, "consumer").spec, jars)
    served = read_json(session / "session.json")
    pid = running(session, "consumer")
    if pid is None or served is None or served["key"] != key:
        stop_jobs(session)
        shutil.rmtree(session, ignore_errors=True)
        session.mkdir(parents=True)
        write_json(session / "session.json", {"key": key})
        options = ["--bundles", str(bundles), "--jars", str(jars)]
        command = [sys.executable, "-m", "lifelog", "consume", str(session), *options]
        pid = detach(session, "consumer", command)
    (session / "lease").touch()
    (run / "lease").touch()
    (run / "consumer.pid").write_text(f"{pid}\n", encoding="ascii")
    write_json(session / "next.json", {"run": str(run)})


def serve(session: Path, bundles: Path, jars: Path) -> int:
    """Do the runs that are handed over until the session's lease runs out; returns 0.

    A run that fails ends the process, after its reason was reported.
    """
    application: Application | None = None
    current: Job | None = None

    def left_s() -> float:
        # Between two runs it is `_next_run` that ends the application, in good order.
        return 1.0 if current is None else lease_left_s(current.directory)

    def expire() -> None:
        if current is not None:
            current.end_without_lease()

    watch(left_s, expire)
    done: Path | None = None
    while (run := _next_run(session, done)) is not None:
        consumer = Consumer(run, bundles, jars)
        current = consumer.job
        try:
            application = consumer.run(application)
        except Exception as error:
            # The boundary of the job: whatever it was must reach the control node as its reason.
            consumer.fail(error)
            sys.excepthook(*sys.exc_info())
            end_process_tree()
        current, done = None, run
        (session / "lease").touch()
        consumer.finish()
    if application is not None:
        application.session.stop()
    return 0


def _next_run(session: Path, done: Path | None) -> Path | None:
    while lease_left_s(session) > 0:
        handed = read_json(session / "next.json")
        if handed is not None and Path(handed["run"]) != done:
            return Path(handed["run"])
        time.sleep(0.1)
    return None
