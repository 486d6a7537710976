"""The cluster files in jobs/cluster: they are what Ray and KubeRay take, and they name what the farm has."""

import json
import re
from importlib import metadata
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).parent.parent
FILES = ROOT / "jobs" / "cluster"
DATA = Path(__file__).parent / "data"


def loaded(name):
    return yaml.safe_load((FILES / name).read_text())


def installed(package):
    return metadata.version(package).split(".")[:2]


def test_ray_s_own_schema_takes_the_cluster_file():
    ray = next(file for file in metadata.files("ray") if str(file) == "ray/autoscaler/ray-schema.json")
    cluster = loaded("ray-up.yaml")
    jsonschema.validate(cluster, json.loads(ray.read_text()))
    assert cluster["head_node_type"] in cluster["available_node_types"]
    gpu = cluster["available_node_types"]["gpu"]
    assert gpu["min_workers"] == gpu["max_workers"] <= cluster["max_workers"], "the farm uses the machines there are"


def test_kuberay_s_resource_has_the_fields_that_its_documentation_names():
    jsonschema.validate(loaded("kuberay.yaml"), json.loads((DATA / "rayjob.schema.json").read_text()))


def test_nothing_runs_without_a_token_and_nothing_is_reported():
    cluster, job = loaded("ray-up.yaml"), loaded("kuberay.yaml")
    for command in [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]:
        assert "RAY_AUTH_MODE=token" in command
        assert "RAY_USAGE_STATS_ENABLED=0" in command
    spec = job["spec"]["rayClusterSpec"]
    assert spec["authOptions"] == {"mode": "token"}
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


def test_they_name_the_ray_that_is_installed_and_no_address_of_anybody():
    versions = [loaded("kuberay.yaml")["spec"]["rayClusterSpec"]["rayVersion"]]
    for name in ("ray-up.yaml", "kuberay.yaml"):
        text = (FILES / name).read_text()
        versions += re.findall(r"(?:ray\[default\]==|rayproject/ray:)([\d.]+)", text)
        assert not re.findall(r"\d+\.\d+\.\d+\.\d+", text.replace("0.0.0.0", ""))
        assert "farm run" in text
        assert "artifacts: s3://BUCKET/farm" in text
    assert {tuple(version.split(".")[:2]) for version in versions} == {tuple(installed("ray"))}
