"""Spark's own account of each micro-batch, by a listener: `recentProgress` holds the last 100 only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _JavaListener:
    """What the JVM calls, from one thread and in the order of the micro-batches.

    The event's JSON takes two calls into the JVM. PySpark's own adapter makes a Python object of each
    event, by a call for each of its fields: 34 ms of the driver's processor, more than all its other
    work for a micro-batch.
    """

    class Java:
        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)

    def __init__(self, on_progress: Callable[[str], None]) -> None:
        self._on_progress = on_progress

    def onQueryProgress(self, event: Any) -> None:
        self._on_progress(event.progress().json())

    def onQueryStarted(self, event: Any) -> None:
        """Nothing to note."""

    def onQueryIdle(self, event: Any) -> None:
        """Nothing to note."""

    def onQueryTerminated(self, event: Any) -> None:
        """The driver asks the query itself."""


def progress_listener(session: Any, on_progress: Callable[[str], None]) -> Any:
    """A StreamingQueryListener for `session.streams` that gives each progress event, as JSON."""
    from pyspark.sql.streaming.listener import StreamingQueryListener

    class Listener(StreamingQueryListener):
        def __init__(self) -> None:
            wrapper = (
                session._jvm.org.apache.spark.sql.streaming.PythonStreamingQueryListenerWrapper
            )
            self._wrapped = wrapper(_JavaListener(on_progress))

        @property
        def _jlistener(self) -> Any:
            return self._wrapped

        def onQueryStarted(self, event: Any) -> None:
            """Never called: the JVM calls _JavaListener, as it does the other two."""

        onQueryProgress = onQueryTerminated = onQueryStarted

    return Listener()
