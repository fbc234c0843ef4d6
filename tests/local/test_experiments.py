"""Whole experiments on real Kafka and Spark: counts and accuracy are asserted, rates never."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from cluster import Testbed

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def quick(testbed: Testbed) -> Testbed:
    """A saturated and a paced run, done once for the tests below."""
    done = testbed.experiment("quick")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return testbed


def test_every_image_is_processed_once_and_predicted_right(quick: Testbed) -> None:
    runs = quick.runs("quick")
    assert sorted(runs) == ["paced-r01-a01", "saturation-r01-a01"]
    for run in runs.values():
        assert run["valid"], run["invalid_reasons"]
        assert run["produced"] == run["acknowledged"] == run["processed"] > 1000
        zero = ("failed", "unsent", "lost", "duplicated", "never_sent", "damaged", "wrong")
        assert {name: run[name] for name in zero} == dict.fromkeys(zero, 0)
        # The stream goes round and round: not every image came equally often.
        assert run["accuracy"] == pytest.approx(run["offline_accuracy"], abs=0.01)
        assert run["offline_accuracy"] >= 0.94


def test_only_paced_load_has_a_latency(quick: Testbed) -> None:
    runs = quick.runs("quick")
    assert runs["paced-r01-a01"]["latency_ms"]["p50"] > 0
    assert runs["saturation-r01-a01"]["latency_ms"]["p50"] is None


def test_placement_is_as_planned(quick: Testbed) -> None:
    for run in quick.runs("quick").values():
        placement = run["provenance"]["placement"]
        assert placement["leaders"] == [11, 12, 11, 12]
        assert placement["executors"] == ["127.0.30.21", "127.0.30.22"]


def test_raw_data_and_the_log_of_every_process_are_kept(quick: Testbed) -> None:
    run = quick.results / "quick" / "saturation-r01-a01"
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


def test_settings_given_with_set_are_the_ones_that_run(testbed: Testbed) -> None:
    settings = "workers=1,partitions=6,images_per_record=20,replication=2,encoding=float32"
    done = testbed.experiment("fixed", "-e", f"set={settings}")
    assert done.returncode == 0, done.stdout[-5000:]
    (run,) = testbed.runs("fixed").values()
    assert run["valid"], run["invalid_reasons"]
    assert run["produced"] == run["processed"] == 4 * 5000
    assert len(run["provenance"]["placement"]["executors"]) == 1
    assert run["provenance"]["placement"]["leaders"] == [11, 12, 11, 12, 11, 12]
    assert (run["settings"]["replication"], run["settings"]["encoding"]) == (2, "float32")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-e", "set=partition=8"], "partitions"),
        (["-e", "set=replication=3"], "replication"),
        (["-e", "set=images_per_call=0"], "images_per_call"),
        (["-e", "experiment=smok"], "smoke"),
    ],
)
def test_bad_input_gets_one_sentence_and_changes_nothing(
    testbed: Testbed, options: list[str], sentence: str
) -> None:
    before = _files(testbed.results)
    done = testbed.experiment("fixed", *options)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert _files(testbed.results) == before


def _files(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if p.is_file()}
