"""Whole experiments on real Kafka and Spark: counts and accuracy are asserted, rates never."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from cluster import Testbed

from lifelog.node.topics import create_topic, delete_topic

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def quick(testbed: Testbed) -> Testbed:
    """A saturated and a paced run, done once for the tests below."""
    done = testbed.experiment("quick", timeout_s=1700)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return testbed


def valid_runs(bed: Testbed) -> dict[str, dict[str, Any]]:
    """The valid run of each point: one that a busy machine spoiled was repeated."""
    return {run["point"]: run for run in bed.runs("quick").values() if run["valid"]}


def test_every_image_is_processed_once_and_predicted_right(quick: Testbed) -> None:
    runs = valid_runs(quick)
    assert sorted(runs) == ["paced", "saturation"]
    for run in runs.values():
        assert run["produced"] == run["acknowledged"] == run["processed"] + run["backlog"] > 1000
        # A busy machine may be late with the last records of a schedule.
        assert run["unsent"] <= 0.01 * run["produced"]
        zero = ("failed", "lost", "duplicated", "never_sent", "damaged", "wrong")
        assert {name: run[name] for name in zero} == dict.fromkeys(zero, 0)
        # The stream goes round and round: not every image came equally often.
        assert run["accuracy"] == pytest.approx(run["offline_accuracy"], abs=0.01)
        assert run["offline_accuracy"] >= 0.94


def test_only_paced_load_has_a_latency(quick: Testbed) -> None:
    runs = valid_runs(quick)
    paced = runs["paced"]
    assert sum(count for _, count in paced["latency_histogram"]) == paced["processed"]
    # On a slow machine there may be too few micro-batches for a median; then the reason is given.
    p50_ms = paced["latency_ms"]["p50"]
    assert "V9" in paced["absent_because"]["latency_ms.p50"] if p50_ms is None else p50_ms > 0
    assert runs["saturation"]["latency_ms"]["p50"] is None


def test_placement_is_as_planned(quick: Testbed) -> None:
    for run in valid_runs(quick).values():
        placement = run["provenance"]["placement"]
        assert placement["leaders"] == [11, 12, 11, 12]
        assert placement["executors"] == ["127.0.30.21", "127.0.30.22"]


def test_raw_data_and_the_log_of_every_process_are_kept(quick: Testbed) -> None:
    run = quick.results / "quick" / valid_runs(quick)["saturation"]["run"]
    found = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert {f"producers/producer-{n}.json" for n in (1, 2, 3, 4)} <= found
    assert {"consumer/calls.arrow", "consumer/progress.jsonl", "spec.json", "run.json"} <= found
    for host, log in (
        ("test-master", "consumer.log"),
        ("test-broker-1", "producers.log"),
        ("test-broker-1", "kafka"),
        ("test-worker-1", "executors"),
    ):
        assert any(name.startswith(f"logs/{host}/{log}") for name in found), (host, log)
    assert (quick.results / "latest").resolve() == quick.results / "quick"
    assert "<svg" in (quick.results / "quick" / "report.html").read_text("utf-8")


def test_nothing_of_a_run_stays_on_the_nodes(quick: Testbed) -> None:
    assert not [p for p in quick.state.rglob("runs/*") if "control" not in p.parts]
    commands = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert not [c for c in commands if str(quick.state) in c and "lifelog" in c and "runs/" in c]


def test_hosts_that_sweep_up_at_once_may_delete_the_same_topic(testbed: Testbed) -> None:
    servers = ["127.0.30.11:9092", "127.0.30.12:9092"]
    for number in range(10):
        topic = f"swept-{number}"
        create_topic(servers, topic, {"num_partitions": 8, "replication_factor": 2})
        with ThreadPoolExecutor(3) as hosts:
            for done in [hosts.submit(delete_topic, servers, topic) for _ in range(3)]:
                done.result(60)


def test_no_socket_of_ours_listens_on_a_wildcard_address(quick: Testbed) -> None:
    ours = {
        p.pid for p in psutil.process_iter(["cmdline"])
        if str(quick.state) in " ".join(p.info["cmdline"] or [])
    }  # fmt: skip
    listening = [
        c.laddr for c in psutil.net_connections("inet")
        if c.pid in ours and c.status == psutil.CONN_LISTEN
    ]  # fmt: skip
    assert len(listening) >= 6
    assert not [a for a in listening if a.ip in ("0.0.0.0", "::")]


def test_the_secret_is_private_and_in_no_argument_list(quick: Testbed) -> None:
    (secret,) = (quick.state / "secrets").rglob("spark")
    assert secret.stat().st_mode & 0o777 == 0o600
    text = secret.read_text("utf-8").strip()
    assert len(text) >= 32
    assert not [
        p.pid for p in psutil.process_iter(["cmdline"])
        if text in " ".join(p.info["cmdline"] or [])
    ]  # fmt: skip


@pytest.mark.ci
@pytest.mark.parametrize("reader", ["connector", "direct"])
def test_what_saturated_producers_pile_up_is_checked_and_not_inferred(
    testbed: Testbed, reader: str
) -> None:
    # This client sends several times what two workers carry.
    settings = f"reader={reader},client=confluent-kafka,images_per_record=20,duration_s=10"
    done = testbed.experiment("quick", "-e", "only=saturation", "-e", f"set={settings}")
    assert done.returncode == 0, done.stdout[-5000:]
    (run,) = [
        run for run in testbed.runs("quick").values()
        if run["valid"] and run["settings"]["reader"] == reader and run["settings"]["duration_s"] == 10
    ]  # fmt: skip
    assert run["backlog"] > 0
    assert run["produced"] == run["processed"] + run["backlog"]
    assert (run["lost"], run["duplicated"], run["damaged"]) == (0, 0, 0)
    consumer = testbed.results / "quick" / run["run"] / "consumer"
    lags = [
        json.loads(line)["lag_records"]
        for line in (consumer / "lag.jsonl").read_text("utf-8").splitlines()
    ]
    assert lags[-1] == 0


@pytest.mark.ci
def test_settings_given_with_set_are_the_ones_that_run(testbed: Testbed) -> None:
    settings = (
        "workers=1,partitions=6,images_per_record=20,replication=2,encoding=float32,reader=direct,"
        "compression=gzip"
    )
    done = testbed.experiment("fixed", "-e", f"set={settings}")
    assert done.returncode == 0, done.stdout[-5000:]
    (run,) = testbed.runs("fixed").values()
    assert run["valid"], run["invalid_reasons"]
    assert run["produced"] == run["processed"] == 4 * 5000
    assert len(run["provenance"]["placement"]["executors"]) == 1
    assert run["provenance"]["placement"]["leaders"] == [11, 12, 11, 12, 11, 12]
    assert (run["settings"]["replication"], run["settings"]["encoding"]) == (2, "float32")
    directory = testbed.results / "fixed" / run["run"]
    # All hosts are one machine: one of them was sampled, and it asked for the followers' lag.
    (file,) = (directory / "metrics").glob("*.jsonl")
    header, *samples = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert header["interface"] == "lo"
    assert len(samples) >= 5
    lags = [s["replica_lag_largest_records"] for s in samples]
    assert any(lag is not None and lag >= 0 for lag in lags), samples[-1]
    assert file.stem in run["node_metrics"]
    for path in (directory / "producers").glob("*.json"):
        latency = json.loads(path.read_text("utf-8"))["request_latency_ms"]
        assert 0 < latency["avg"] <= latency["max"], latency
