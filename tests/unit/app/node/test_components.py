"""Which component a command belongs to: the commands of a testbed that ran, shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelog.node.components import FOREIGN, Testbed

HOME = "/home/u/testbed/.testbed/local"
OURS = Testbed([f"{HOME}/opt", f"{HOME}/etc", f"{HOME}/data"], "/home/u/testbed")
PYTHON = f"{HOME}/opt/env-py3.11-72/bin/python"
SPARK = f"-cp {HOME}/etc/spark/h/:{HOME}/opt/env-py3.11-72/pyspark/jars/* -Xmx256m"
KAFKA = (
    f"java -Dlog4j2.configurationFile={HOME}/etc/kafka/b/log4j2.properties -cp /cache/* kafka.Kafka"
)
COMMANDS = [
    (f"{PYTHON} {HOME}/opt/env/bin/supervisord -c {HOME}/etc/x.conf", "service_manager"),
    (f"{KAFKA} {HOME}/etc/kafka/b/server.properties", "broker"),
    (f"java {SPARK} org.apache.spark.deploy.master.Master --host 127.0.0.1", "spark_master"),
    (f"java {SPARK} org.apache.spark.deploy.worker.Worker spark://127.0.0.1:1", "spark_worker"),
    (f"java {SPARK} org.apache.spark.executor.CoarseGrainedExecutorBackend --cores 1", "executor"),
    (f"{PYTHON} -m pyspark.daemon pyspark.worker", "python_worker"),
    (f"{PYTHON} -m lifelog consume {HOME}/data/runs/s --jars /cache/c", "driver"),
    (f"java {SPARK} org.apache.spark.deploy.SparkSubmit pyspark-shell", "driver"),
    (f"{PYTHON} -m lifelog produce {HOME}/data/runs/r", "producer"),
    (f"{PYTHON} -m lifelog sample {HOME}/data/runs/r --limit 9", "sampler"),
    (f"{PYTHON} {HOME}/opt/env/bin/lifelog job sample {HOME}/data/runs/r", "control"),
    ("/home/u/testbed/.venv/bin/python .venv/bin/ansible-playbook site.yml", "control"),
]


@pytest.mark.parametrize(("command", "component"), COMMANDS)
def test_a_command_names_its_component(command: str, component: str) -> None:
    words = command.split(" ")
    # `job sample` starts the sampler.
    assert OURS.component(words, FOREIGN) == component


@pytest.mark.parametrize("command", [command for command, _ in COMMANDS])
def test_the_same_of_another_testbed_is_foreign(command: str) -> None:
    for other in ("/home/u/testbed2", "/srv/home/u/testbed"):
        assert (
            OURS.component(command.replace("/home/u/testbed", other).split(" "), FOREIGN) == FOREIGN
        )


def test_a_controller_is_known_by_its_role(tmp_path: Path) -> None:
    testbed = Testbed([str(tmp_path)], "/x")
    for role in ("controller", "broker"):
        (tmp_path / role).write_text(f"node.id=1\nprocess.roles={role}\n")
        assert testbed.component(["java", "kafka.Kafka", f"{tmp_path}/{role}"], FOREIGN) == role


def test_a_producers_process_is_known_without_its_parent() -> None:
    command = [PYTHON, "-c", "from multiprocessing.spawn import spawn_main; spawn_main(6)"]
    assert OURS.component(command, FOREIGN) == "producer"
    assert OURS.component(["python", *command[1:]], FOREIGN) == FOREIGN


def test_what_says_nothing_is_its_parents() -> None:
    assert OURS.component(["sleep", "1"], "executor") == "executor"
    assert OURS.component([], "control") == "control"
    assert OURS.component(["sleep", "1"], FOREIGN) == FOREIGN
    # It says what it is, and its parent whose.
    assert OURS.component(["python", "-m", "pyspark.daemon"], "executor") == "python_worker"
    planning = f"{PYTHON} -m pyspark.daemon pyspark.sql.streaming.python_streaming_source_runner"
    assert OURS.component(planning.split(), "driver") == "driver"
    # Started by a job of ours on a machine where ansible-playbook itself runs.
    assert OURS.component([PYTHON, "-m", "lifelog", "job", "stop", "/r"], "control") == "control"


def test_reading_our_files_makes_no_process_ours() -> None:
    for command in (f"vim {HOME}/etc/kafka/b/server.properties", f"tail -f {HOME}/log/b.out"):
        assert OURS.component(command.split(), FOREIGN) == FOREIGN


def test_playbooks_are_known_by_where_they_are() -> None:
    command = ["/usr/bin/python3", "/usr/bin/ansible-playbook", "playbooks/app.yml"]
    assert OURS.component(command, FOREIGN, "/home/u/testbed") == "control"
    assert OURS.component([*command[:2], "testbed/site.yml"], FOREIGN, "/home/u") == "control"
    assert OURS.component(command, FOREIGN, "/home/u/testbed2") == FOREIGN
    # Of an account whose working directory cannot be read.
    assert OURS.component(command, FOREIGN, "") == FOREIGN
