"""A made-up pipeline of known costs, whose runs are as noisy as real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lifelog.capacity.ceilings import predict
from lifelog.capacity.fit import Observation
from lifelog.capacity.layout import Layout, Machine
from lifelog.capacity.load import Load
from lifelog.capacity.parts import Cost, Engine, Parts, Pause, Wire

US = 1e-6
PARTS = Parts(
    producer={
        "kafka-python": Cost(record=30 * US, image=1 * US, byte=2e-9, record_batch=20 * US),
        "confluent-kafka": Cost(record=4 * US, image=1 * US, byte=1e-9, record_batch=10 * US),
    },
    broker=Cost(idle=0.02, task=1e-3, record=1 * US, byte=4e-9, record_batch=30 * US),
    replica=Cost(record=0.5 * US, byte=3e-9, record_batch=20 * US),
    executor=Cost(batch=20e-3, task=4e-3, record=12 * US, byte=5e-9),
    python=Cost(task=5e-3, call=120 * US, record=1 * US, image=3 * US, byte=1e-9),
    driver=Cost(batch=60e-3, task=4e-3, call=100 * US),
    engines={"chainer mlp": Engine(40 * US, 1e-3)},
    engine_factor=1.1,
    convert_s_per_byte={"uint8": 0.8e-9, "float32": 0.3e-9, "text": 8e-9},
    pause=Pause(0.1, 2e-3),
    slot_wait=Pause(0.05, 0.01),
    wire=Wire(26, 61),
    background={"controller": 0.01, "spark_master": 0.002, "spark_worker": 0.005, "kernel": 0.02},
)
LOAD = Load(
    mode="saturation", image_bytes=784, images_per_record=1, producer_batch_bytes=131_072,
    linger_s=0.005, replication=1, partitions=8, producers=4, client="kafka-python", acks="all",
    compression="none", encoding="uint8", reader="connector", images_per_call=100, engine="chainer mlp", trigger_s=1.0,
    batch_cap_s=3.0,
)  # fmt: skip
POINTS: list[dict[str, Any]] = [
    {},
    {"images_per_record": 20, "images_per_call": 1000, "partitions": 4},
    {"encoding": "float32", "image_bytes": 3136},
    {"encoding": "text", "image_bytes": 3136, "images_per_record": 5, "partitions": 16},
    {"client": "confluent-kafka", "partitions": 32},
    {"client": "confluent-kafka", "images_per_record": 10, "image_bytes": 3136, "encoding": "float32"},
    {"replication": 2},
    {"replication": 2, "images_per_record": 10, "partitions": 4},
    {"producer_batch_bytes": 1000},
    {"images_per_call": 10, "images_per_record": 10},
    {"images_per_call": 10, "client": "confluent-kafka", "producer_batch_bytes": 1000},
    {"partitions": 2},
    {"mode": "paced", "target_rate": 3000.0},
]  # fmt: skip


def one_machine(load: Load, cores: float = 2.0) -> Layout:
    """Everything on one machine, as `inventory/local` has it."""
    return Layout(
        machines=(Machine("host", cores),),
        brokers=(0, 0),
        replicas=((0,) * load.replication,) * load.partitions,
        producers=(0,) * load.producers,
        workers=(0, 0),
        driver=0,
        slots=2,
        controllers=(0,),
    )


def apart(load: Load, brokers: int = 2, workers: int = 2, **machine: Any) -> Layout:
    """Each broker with its producers, each worker, and the managers on a machine of its own."""
    facts = {"cores": 4.0, "link_bytes_per_s": 125e6} | machine
    count = brokers + workers + 1
    return Layout(
        machines=tuple(Machine(f"m{at}", **facts) for at in range(count)),
        brokers=tuple(range(brokers)),
        replicas=tuple(
            tuple((p + copy) % brokers for copy in range(load.replication))
            for p in range(load.partitions)
        ),
        producers=tuple(at % brokers for at in range(load.producers)),
        workers=tuple(range(brokers, brokers + workers)),
        driver=count - 1,
        slots=4 * workers,
        controllers=(count - 1,),
    )


def observed(
    random: np.random.Generator,
    points: Sequence[dict[str, Any]] = POINTS,
    noise: float = 0.03,
    speeds: float = 0.2,
    parts: Parts = PARTS,
) -> list[Observation]:
    """A run of each point: machines whose speed differs from run to run, and figures with noise."""
    seen = []
    for at, changes in enumerate(points):
        load = replace(LOAD, **changes)
        layout = one_machine(load)
        speed = math.exp(speeds * float(random.standard_normal()))
        own = parts.at_speed(speed)

        def noisy(value: float) -> float:
            return value * math.exp(noise * float(random.standard_normal()))

        found = predict(own, load, layout)
        per_s = found.images_per_s
        cores = {name: noisy(value) for name, value in found.cores["host"].items()}
        engine = own.engines[load.engine].seconds_per_image(load.images_per_call)
        convert = own.convert_s(load)
        tasks = load.tasks(per_s * found.interval_s)
        at_work = found.cores["host"]["executor"] + found.cores["host"]["python_worker"]
        working = at_work * found.interval_s + own.slot_wait.seconds(tasks)
        size = Observation("", load, layout, per_s, found.interval_s, 1.0, per_s).images_per_call
        seen.append(
            Observation(
                name=f"run {at}",
                load=load,
                layout=layout,
                images_per_s=noisy(per_s),
                interval_s=found.interval_s,
                bare_images_per_s=layout.slots / engine,
                written_images_per_s=per_s,
                component_cores=cores,
                convert_share=convert / own.engines[load.engine].seconds_per_image(size),
                pause_s=noisy(own.pause.seconds(tasks)),
                working_s=working / min(tasks, layout.slots),
            )
        )
    return seen
