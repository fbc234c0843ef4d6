"""Spark Structured Streaming with Spark's own `predict_batch_udf`, in batches of one call.

Its tensors are arrays of numbers; SQL has no cheap way from bytes to these, so key and value go in
as scalar columns and become one NumPy array inside the function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql.types import IntegerType

from comparison.task import Task
from inference import inference
from spark import read_topic, run, start_session


def main(task_file: str) -> int:
    """Run the query until ended from outside."""
    task = Task.load(task_file)
    session = start_session(task, "spark-predict-batch")

    def make_predict() -> Callable[[NDArray[Any], NDArray[Any]], NDArray[np.int64]]:
        own = inference(task_file)

        def predict(keys: NDArray[Any], values: NDArray[Any]) -> NDArray[np.int64]:
            # object (n,) of bytes each, n <= batch_size
            return next(own.calls(keys.tolist(), values.tolist()))

        return predict

    # Its annotation names one input only.
    classify = predict_batch_udf(
        cast(Any, make_predict), return_type=IntegerType(), batch_size=task.images_per_call
    )
    frame = read_topic(session, task)
    return run(frame.select("key", classify("key", "value").alias("predicted")), task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
