"""A toy recipe's plan, spelled as an Argo workflow."""

from pathlib import Path
from typing import Any

import yaml

from pipelines.argo import write_workflow
from pipelines.plan import Plan, make_plan

IMAGES = {"cpu": f"registry.example/cpu@sha256:{'0' * 64}", "gpu": f"registry.example/gpu@sha256:{'1' * 64}"}
PARAMS: dict[str, Any] = {
    "seed": 1,
    "warmup": {"rate": 1e-3, "ema": None},
    "pretrain": {"epochs": 1},
    "runtime": {"pushgateway": "gateway:9091"},
    "pipeline": {
        "defaults": {
            "secrets": {"s3": {"key": "AWS_ACCESS_KEY_ID"}},
            "volumes": {"cache": "/thaw"},
            "env": {"A": "1"},
            "config_maps": {"store": {"url": "AWS_ENDPOINT_URL"}},
        },
        "gpu": {"gpus": 1, "tolerations": [{"key": "gpu", "effect": "NoSchedule"}], "node_selector": {"disk": "fast"}},
        "stages": {"export": {"retries": 0, "timeout_seconds": 60, "shm": ""}},
        "service_account": "thaw-pipeline",
        "pull_secrets": ["registry"],
    },
}


def plan(**pipeline: Any) -> Plan:
    params = {**PARAMS, "pipeline": {**PARAMS["pipeline"], **pipeline}}
    return make_plan("toy", params, narrow=lambda _, values: values)


def spelled(folder: Path, made: Plan | None = None, raw: str = "") -> dict[str, Any]:
    file = write_workflow(made or plan(), IMAGES, folder / "workflow.yaml", raw)
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document
