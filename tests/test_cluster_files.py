"""The files of docs/cluster: what Ray, systemd and Kubernetes would read in them, and that they say the same."""

import json
import re
import tomllib
from configparser import ConfigParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.ray.frames import HOST_LABEL
from fleet.config import KEYS

DOCS = Path(__file__).parents[1] / "docs"
FILES = DOCS / "cluster"
yaml: Any = import_module("yaml")  # Ray needs both; they have no types
jsonschema: Any = import_module("jsonschema")

PORTS = {
    "node-manager-port": "6380",
    "object-manager-port": "6381",
    "runtime-env-agent-port": "6382",
    "min-worker-port": "10002",
    "max-worker-port": "10100",
}
TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object that has these members, and no others."""
    members = required | (optional or {})
    return {"type": "object", "properties": members, "required": [*required], "additionalProperties": False}


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def one_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": list(schemas)}


SECRET = record({"secretKeyRef": record({"name": TEXT, "key": TEXT})})
FIELD = record({"fieldRef": record({"fieldPath": TEXT})})
VARIABLE = one_of(record({"name": TEXT, "value": TEXT}), record({"name": TEXT, "valueFrom": one_of(SECRET, FIELD)}))
ROOM = record({"cpu": TEXT, "memory": TEXT})
CONTAINER = record(
    {"name": TEXT, "image": TEXT, "env": array(VARIABLE), "resources": record({"requests": ROOM, "limits": ROOM})},
    {"command": array(TEXT), "volumeMounts": array(record({"name": TEXT, "mountPath": TEXT}))},
)
VOLUME = one_of(
    record({"name": TEXT, "emptyDir": {"type": "object", "maxProperties": 0}}),
    record({"name": TEXT, "persistentVolumeClaim": record({"claimName": TEXT})}),
)
POD = record(
    {"automountServiceAccountToken": {"const": False}, "containers": array(CONTAINER), "volumes": array(VOLUME)},
    {"shareProcessNamespace": {"type": "boolean"}},
)
TEMPLATE = record({"spec": POD})
RAY_CLUSTER = record(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayCluster"},
        "metadata": record({"name": TEXT}),
        "spec": record(
            {
                "rayVersion": TEXT,
                "authOptions": record({"mode": {"const": "token"}, "secretName": TEXT}),
                "gcsFaultToleranceOptions": record(
                    {"backend": {"const": "rocksdb"}, "storage": record({"size": TEXT})}
                ),
                "headGroupSpec": record({"rayStartParams": TEXTS, "template": TEMPLATE}),
                "workerGroupSpecs": array(
                    record(
                        {
                            "groupName": TEXT,
                            "replicas": COUNT,
                            "minReplicas": COUNT,
                            "maxReplicas": COUNT,
                            "labels": TEXTS,
                            "rayStartParams": TEXTS,
                            "template": TEMPLATE,
                        }
                    )
                ),
            }
        ),
    }
)
"""The fields of KubeRay 1.7 that the manifest uses, and what Fleet asks of them."""


def documents() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((FILES / "kuberay.yaml").read_text())}


def settings(name: str) -> dict[str, str]:
    lines = (line.partition("=") for line in (FILES / name).read_text().splitlines() if not line.startswith("#"))
    return {key: value for key, _, value in lines}


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a service; each may be there several times."""
    found: dict[str, list[str]] = {}
    text = (FILES / name).read_text().replace("\\\n", " ")
    parser = ConfigParser(strict=False, interpolation=None)
    parser.read_string(text)
    assert parser.sections() == ["Unit", "Service", "Install"]
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def flags(command: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+)(?:=(\S+))?", command.replace("\\\n", " ")))


def ray_starts() -> list[str]:
    """Return every `ray start` in the page and its files."""
    files = [DOCS / "cluster.md", *FILES.glob("*.service"), FILES / "cluster.yaml"]
    texts = [file.read_text().replace("\\\n", " ") for file in files]
    cluster = yaml.safe_load(texts[-1])
    texts[-1] = "\n".join(cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"])
    return [found for text in texts for found in re.findall(r"ray start (--.*)", text)]


def test_every_start_of_ray_has_the_same_ports_and_known_options() -> None:
    options = {
        flag.removeprefix("--") for each in import_module("ray.scripts.scripts").start.params for flag in each.opts
    }
    starts = [flags(command) for command in ray_starts()]
    assert len(starts) == 6
    for given in starts:
        assert given.keys() <= options
        assert given.items() >= PORTS.items()
        assert ("head" in given) != ("address" in given)
        assert given["head"] == "" and given["num-cpus"] == "0" if "head" in given else HOST_LABEL in given["labels"]


def test_units_let_opencode_outlive_ray_and_the_server() -> None:
    head, node, server = unit("ray-head.service"), unit("ray-node.service"), unit("fleet.service")
    for service in (node, server):
        assert service["KillMode"] == ["process"]
        assert service["OOMPolicy"] == ["continue"]
    for service in (head, node, server):
        assert service["Restart"] == ["always"]
        assert service["User"] == ["fleet"]
        assert "/etc/fleet/ray.env" in service["EnvironmentFile"]
    for service in (head, node):
        assert "block" in flags(service["ExecStart"][0])
    assert "/etc/fleet/ray-head.env" in head["EnvironmentFile"]
    variables = {value.partition("=")[0] for value in server["Environment"]} - {"PATH"}
    assert variables <= {key.variable for key in KEYS}
    assert "FLEET_HOSTS=ray" in server["Environment"]


def test_the_settings_of_ray_are_the_same_everywhere() -> None:
    every, head = settings("ray.env"), settings("ray-head.env")
    page, cluster = (DOCS / "cluster.md").read_text(), yaml.safe_load((FILES / "cluster.yaml").read_text())
    manifest = (FILES / "kuberay.yaml").read_text()
    for text in (
        page,
        *(command[-1] for command in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"])),
    ):
        given = dict(re.findall(r"(RAY_\w+)=([\w.$/-]+)", text))
        for name, value in given.items():
            if name in every | head and not value.startswith("$"):
                assert value == (every | head)[name], name
        assert {
            "RAY_AUTH_MODE",
            "RAY_gcs_rpc_server_reconnect_timeout_s",
            "RAY_memory_monitor_refresh_ms",
        } <= given.keys()
    for name, value in re.findall(r'name: (RAY_\w+), value: "?([\w.]+)', manifest):
        assert value == (every | head)[name], name


def test_cluster_for_ray_up_follows_ray_s_schema() -> None:
    spec = find_spec("ray")
    assert spec is not None
    assert spec.submodule_search_locations
    schema = json.loads((Path(spec.submodule_search_locations[0]) / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((FILES / "cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}


def test_manifest_has_the_fields_of_kuberay_and_no_others() -> None:
    found = documents()
    assert found.keys() == {"PersistentVolumeClaim", "NetworkPolicy", "RayCluster"}
    jsonschema.validate(found["RayCluster"], RAY_CLUSTER)
    jsonschema.validate(found["NetworkPolicy"]["spec"]["podSelector"], record({"matchLabels": TEXTS}))
    wrong = json.loads(json.dumps(found["RayCluster"]))
    wrong["spec"]["headGroupSpec"]["replicas"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, RAY_CLUSTER)


def test_manifest_is_a_cluster_that_fleet_can_use() -> None:
    found = documents()
    name, spec = found["RayCluster"]["metadata"]["name"], found["RayCluster"]["spec"]
    groups, pod = spec["workerGroupSpecs"], spec["headGroupSpec"]["template"]["spec"]
    assert f"ray=={spec['rayVersion']}" in pinned()
    assert spec["headGroupSpec"]["rayStartParams"].items() >= {**PORTS, "num-cpus": "0"}.items()
    hosts = [group["labels"][HOST_LABEL] for group in groups]
    assert len(set(hosts)) == len(hosts) == len({group["groupName"] for group in groups})
    for group in groups:
        assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (1, 1, 1)
        assert group["rayStartParams"].items() >= PORTS.items()
        mounted(group["template"]["spec"])
    ray, fleet = pod["containers"]
    mounted(pod)
    assert pod["shareProcessNamespace"] is True
    for container in (ray, fleet):
        assert {"name": "ray", "mountPath": "/tmp/ray"} in container["volumeMounts"]
    variables = {each["name"]: each.get("value", each.get("valueFrom")) for each in fleet["env"]}
    assert variables["RAY_AUTH_MODE"] == "token"
    secret = {"name": spec["authOptions"]["secretName"], "key": "auth_token"}
    assert variables["RAY_AUTH_TOKEN"] == {"secretKeyRef": secret}
    assert {each for each in variables if each.startswith("FLEET_")} <= {key.variable for key in KEYS}
    assert (variables["FLEET_HOSTS"], variables["FLEET_RAY_ADDRESS"]) == ("ray", "$(POD_IP):6379")
    selector = {"matchLabels": {"ray.io/cluster": name}}
    policy = found["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == policy["ingress"][0]["from"][0]["podSelector"] == selector
    assert policy["policyTypes"] == ["Ingress"]
    claims = [each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert claims == [found["PersistentVolumeClaim"]["metadata"]["name"]]


def pinned() -> list[str]:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"]["ray"])


def mounted(pod: dict[str, Any]) -> None:
    """Every volume of the pod is mounted, and nothing else; all of its containers have one image."""
    mounts = {mount["name"] for each in pod["containers"] for mount in each.get("volumeMounts", [])}
    assert mounts == {each["name"] for each in pod["volumes"]}
    assert len({each["image"] for each in pod["containers"]}) == 1
