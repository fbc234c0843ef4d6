"""Runs commands on the control node side by side, and says every few seconds how far each one is.

Every job has a name, ``argv``, and ``creates``: the path that shows that it was done before. ``watch`` names a
directory whose growing size is the progress; without it the last line that the job printed is shown. The jobs end
with Ansible, also when it is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
PR_SET_PDEATHSIG = 1
REPORT_EVERY_S = 5.0


def die_with_parent() -> None:
    """In the child: be ended when the process that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def tree_size(path: Path) -> tuple[int, int]:
    """Bytes and files below a directory that may be changing."""
    size = count = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
                count += 1
            except OSError:
                continue
    return size, count


def last_line(path: str) -> str:
    """The last line with anything in it of a log file."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 2000))
        lines = [
            line.strip()
            for line in file.read().decode(errors="replace").replace("\r", "\n").splitlines()
        ]
    return next((line for line in reversed(lines) if line), "")[:120]


class Job:
    """One running command."""

    def __init__(self, spec: dict) -> None:
        self.name, self.watch = spec["name"], spec.get("watch")
        self.log = tempfile.NamedTemporaryFile(prefix="lifelog-", suffix=".log")  # noqa: SIM115 - lives with the job
        self.out = tempfile.NamedTemporaryFile(prefix="lifelog-", suffix=".out")  # noqa: SIM115
        self.started = time.monotonic()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **spec.get("environment", {})}
        self.process = subprocess.Popen(
            [str(word) for word in spec["argv"]],
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=self.log,
            env=environment,
            cwd=spec.get("chdir"),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def progress(self) -> str:
        if self.watch:
            size, count = tree_size(Path(self.watch))
            how_far = f"{size / 1e6:,.0f} MB in {count} files"
        else:
            how_far = last_line(self.log.name) or last_line(self.out.name)
        return f"{self.name}: {how_far or 'working'} ({time.monotonic() - self.started:.0f} s)"

    def end(self) -> None:
        """Ends the job and whatever it started."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def result(self) -> dict:
        out, log = (
            Path(file.name).read_text(encoding="utf-8", errors="replace")
            for file in (self.out, self.log)
        )
        return {
            "name": self.name,
            "rc": self.process.returncode,
            "stdout": out[-20000:],
            "stderr": log[-20000:],
            "seconds": round(time.monotonic() - self.started, 1),
        }


class ActionModule(ActionBase):
    """``run_with_progress: {jobs: [{name, argv, creates?, watch?, environment?, chdir?}]}``"""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        wanted = self._task.args["jobs"]
        todo = [
            job for job in wanted if not (job.get("creates") and os.path.exists(job["creates"]))
        ]
        if self._task.check_mode:
            for job in todo:
                display.display(f"would run: {job['name']}")
            return {
                "changed": bool(todo),
                "results": [],
                "skipped_jobs": [job["name"] for job in todo],
            }
        jobs: list[Job] = []
        try:
            for job in todo:
                jobs.append(Job(job))
            self._wait(jobs)
        finally:
            for job in jobs:
                if job.process.poll() is None:
                    job.end()
        results = [job.result() for job in jobs]
        failed = [result for result in results if result["rc"] != 0]
        answer = {"changed": bool(todo), "results": results}
        if failed:
            lines = [
                line
                for line in (failed[0]["stderr"] + failed[0]["stdout"]).splitlines()
                if line.strip()
            ]
            answer = {
                "changed": True,
                "failed": True,
                "msg": f"{failed[0]['name']} failed:\n" + "\n".join(lines[-15:]),
            }
        return answer

    @staticmethod
    def _wait(jobs: list[Job]) -> None:
        """Returns when every job ended, or one failed."""
        running, said = list(jobs), time.monotonic() - REPORT_EVERY_S + 2
        while running:
            time.sleep(0.2)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                if job.process.returncode:
                    return
                if time.monotonic() - job.started < 2:
                    continue
                display.display(f"  {job.name}: done in {time.monotonic() - job.started:.0f} s")
            if running and time.monotonic() - said >= REPORT_EVERY_S:
                said = time.monotonic()
                for job in running:
                    display.display("  " + job.progress())
