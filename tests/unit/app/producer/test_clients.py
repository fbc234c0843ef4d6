"""What the producer's client knows of records that were not acknowledged, and how many it lets wait."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError
from kafka.metrics import MetricConfig, Metrics
from kafka.net.metrics import KafkaConnectionMetrics
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata
from kafka.structs import TopicPartition

from lifelog.producer import clients
from lifelog.producer.clients import KafkaPython, request_latency_ms

SETTINGS = {
    "acks": "all",
    "compression": "none",
    "producer_batch_bytes": 16384,
    "linger_ms": 0,
}


class Broker:
    """Takes the place of kafka.KafkaProducer: one batch a record, answered when the test says so."""

    def __init__(self, **_settings: Any) -> None:
        self.sent: list[FutureProduceResult] = []

    def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    def send(self, topic: str, *_record: Any, **_options: Any) -> FutureRecordMetadata:
        batch = FutureProduceResult(TopicPartition(topic, 0))
        self.sent.append(batch)
        return FutureRecordMetadata(batch, 0, 0, None, 0, 0, 0)

    def answer(self, number: int, good: bool) -> None:
        if good:
            self.sent[number].success((number, -1, None))
        else:
            self.sent[number].failure(KafkaTimeoutError("no answer"))

    def flush(self, timeout: float) -> None:
        if not all(batch.is_done for batch in self.sent):
            raise KafkaTimeoutError(f"not within {timeout} s")

    def metrics(self, raw: bool) -> dict[Any, Any]:
        assert raw
        return {}

    def close(self, timeout: float) -> None:
        for number, batch in enumerate(self.sent):
            if not batch.is_done:
                self.answer(number, good=False)


def connect() -> tuple[KafkaPython, Broker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kafka.KafkaProducer", Broker)
        client = KafkaPython(["unused:9092"], "topic", SETTINGS)
    broker = client._producer
    assert isinstance(broker, Broker)
    return client, broker


# At once or only after the last record; good, bad or never.
ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), max_size=300)


@given(ANSWERS)
def test_exactly_the_unacknowledged_records_are_known(
    answers: list[tuple[bool, bool | None]],
) -> None:
    client, broker = connect()
    for number, (at_once, good) in enumerate(answers):
        client.send(number, 0, b"key", b"value", 0)
        if at_once and good is not None:
            broker.answer(number, good)
    for number, (at_once, good) in enumerate(answers):
        if not at_once and good is not None:
            broker.answer(number, good)
    assert client.close() == {n for n, (_, good) in enumerate(answers) if not good}


def test_a_producer_faster_than_its_brokers_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "BUFFER_BYTES", 1000)
    client, broker = connect()
    for number in range(10):
        client.send(number, 0, b"key", bytes(100), 0)
    eleventh = threading.Thread(target=client.send, args=(10, 0, b"key", bytes(100), 0))
    eleventh.start()
    eleventh.join(0.2)
    assert eleventh.is_alive()
    broker.answer(0, good=True)
    eleventh.join(10)
    assert not eleventh.is_alive()
    assert client.close() == set(range(1, 11))


def test_the_latency_of_requests_is_that_of_the_whole_run() -> None:
    metrics = Metrics(MetricConfig(samples=2, time_window_ms=clients.METRICS_WINDOW_MS))
    first, second = (KafkaConnectionMetrics(metrics, "producer", node) for node in (1, 2))
    assert request_latency_ms(metrics.metrics)["reason"] == "no request was answered"
    half_an_hour_ago_ms = (time.time() - 1800) * 1000
    first.request_time.record(30.0, half_an_hour_ago_ms)
    second.request_time.record(5.0)
    second.request_time.record(10.0)
    assert request_latency_ms(metrics.metrics) == {"avg": 15.0, "max": 30.0}


def test_a_client_without_metrics_says_why() -> None:
    assert request_latency_ms(None) == {
        "avg": None,
        "max": None,
        "reason": "no request was answered",
    }
    client, _ = connect()
    client.close()
    assert client.request_latency_ms["avg"] is None
