"""The manifest of the Flink Kubernetes Operator is what the operator's own schema allows."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from stack.jars import SCHEMAS
from tests.deploy.settings import java_options, unknown
from tocsin.compiler import compile_topology
from tocsin.language import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/flink/operator"
MANIFEST: dict[str, Any] = yaml.safe_load((FOLDER / "flinkdeployment.yaml").read_text(encoding="utf-8"))
SPEC: dict[str, Any] = MANIFEST["spec"]
POD: dict[str, Any] = SPEC["podTemplate"]["spec"]
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
DEFINITION = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
IMPLIED = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
"""Kubernetes allows these everywhere; a definition does not name them."""


def definition() -> dict[str, Any]:
    """Give the definition of the resource, out of the operator's jar."""
    (jar,) = SCHEMAS.folder.glob("*.jar")
    with zipfile.ZipFile(jar) as opened:
        found: dict[str, Any] = yaml.safe_load(opened.read(DEFINITION))
    return found


def closed(schema: Any) -> Any:  # noqa: ANN401  # JSON
    """Refuse fields that a structural schema does not name: Kubernetes would drop them and say nothing."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    kept = found.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in found
    if isinstance(found.get("properties"), dict) and found.get("type") == "object" and not kept:
        found["additionalProperties"] = False
    return found


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    (version,) = definition()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"] |= IMPLIED
    return Draft7Validator(closed(schema))


def wrong(validator: Draft7Validator, manifest: dict[str, Any]) -> list[str]:
    """Give what is wrong with a manifest, but for the version of Flink."""
    found = [(error.json_path, error.message) for error in validator.iter_errors(manifest)]
    return [f"{path}: {message}" for path, message in found if path != "$.spec.flinkVersion"]


class TestManifest:
    def test_is_of_the_resource_that_the_operator_defines(self) -> None:
        told = definition()["spec"]
        assert MANIFEST["apiVersion"] == f"{told['group']}/{told['versions'][0]['name']}"
        assert MANIFEST["kind"] == told["names"]["kind"]

    def test_is_allowed(self, validator: Draft7Validator) -> None:
        assert wrong(validator, MANIFEST) == []

    def test_the_version_of_flink_is_newer_than_the_newest_schema_that_maven_has(
        self, validator: Draft7Validator
    ) -> None:
        """When this fails, a newer operator can be had: take its schema, and leave nothing out above."""
        assert SPEC["flinkVersion"] == "v2_3"
        allowed = validator.schema["properties"]["spec"]["properties"]["flinkVersion"]["enum"]
        assert allowed[-1] == "v1_20"

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (["spec", "upgradeMode"], "savepoint"),
            (["spec", "job", "parallelizm"], 2),
            (["spec", "job", "upgradeMode"], "savepoints"),
            (["spec", "taskManager", "resource", "cpus"], 1),
            (["spec", "podTemplate", "spec", "containers", 0, "volumeMounts", 0, "mountpath"], "/x"),
            (["spec", "podTemplate", "spec", "volumes", 0, "configmap"], {}),
            (["spec", "flinkConfiguration", "taskmanager.numberOfTaskSlots"], 2),
        ],
    )
    def test_a_typo_is_refused(self, validator: Draft7Validator, path: list[str | int], value: object) -> None:
        manifest = copy.deepcopy(MANIFEST)
        place: Any = manifest
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        assert len(wrong(validator, manifest)) == 1


class TestJob:
    def test_its_jar_is_of_the_version_of_flink_that_is_pinned(self) -> None:
        lock = (ROOT / "requirements/flink.lock").read_text(encoding="utf-8")
        version = lock.split("\napache-flink==")[1].split()[0]
        assert SPEC["job"]["jarURI"].endswith(f"/flink-python-{version}.jar")
        assert SPEC["flinkVersion"] == "v" + "_".join(version.split(".")[:2])

    def test_settings_are_those_that_flink_knows(self) -> None:
        assert unknown(SPEC["flinkConfiguration"]) == []
        assert unknown(["state.backend.typo"]) == ["state.backend.typo"]

    def test_java_opens_to_flink_what_its_own_configuration_says(self) -> None:
        assert SPEC["flinkConfiguration"]["env.java.opts.all"] == java_options()

    def test_state_outlives_its_machines(self) -> None:
        told = SPEC["flinkConfiguration"]
        places = [
            "execution.checkpointing.dir",
            "execution.checkpointing.savepoint-dir",
            "high-availability.storageDir",
        ]
        assert [told[name].partition("://")[0] for name in places] == ["s3", "s3", "s3"]


class TestPods:
    def test_what_is_mounted_is_there(self) -> None:
        (container,) = POD["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}

    def test_they_run_as_the_user_of_the_image(self) -> None:
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        assert POD["securityContext"]["runAsNonRoot"] is True
        assert f"\nUSER {POD['securityContext']['runAsUser']}\n" in dockerfile

    def test_the_topology_is_the_config_map_that_kustomize_makes_and_mounted_where_the_job_reads_it(self) -> None:
        (made,) = KUSTOMIZATION["configMapGenerator"]
        (volume,) = [one for one in POD["volumes"] if "configMap" in one]
        assert volume["configMap"]["name"] == made["name"]
        (mount,) = [one for one in POD["containers"][0]["volumeMounts"] if one["name"] == volume["name"]]
        assert f"{mount['mountPath']}/{made['files'][0]}" in SPEC["job"]["args"]

    def test_no_secret_is_written_here(self) -> None:
        text = (FOLDER / "flinkdeployment.yaml").read_text(encoding="utf-8")
        assert not any(word in text for word in ("secret-key", "password:", "s3.access-key"))


class TestKustomization:
    def test_what_it_names_is_there(self) -> None:
        named = [*KUSTOMIZATION["resources"], *KUSTOMIZATION["configurations"]]
        named += [file for one in KUSTOMIZATION["configMapGenerator"] for file in one["files"]]
        assert [name for name in named if not (FOLDER / name).is_file()] == []

    def test_names_that_it_makes_come_where_the_manifest_has_them(self) -> None:
        rules = yaml.safe_load((FOLDER / "names.yaml").read_text(encoding="utf-8"))["nameReference"]
        places = {spec["path"] for rule in rules for spec in rule["fieldSpecs"]}
        assert places == {
            "spec/podTemplate/spec/volumes/configMap/name",
            "spec/podTemplate/spec/volumes/secret/secretName",
            "spec/podTemplate/spec/containers/envFrom/secretRef/name",
        }

    def test_its_topology_is_right(self) -> None:
        assert compile_topology(load(FOLDER / "topology.yaml")).rules


class TestSettings:
    def test_of_rocksdb_are_incremental(self) -> None:
        told = SPEC["flinkConfiguration"]
        assert (told["state.backend.type"], told["execution.checkpointing.incremental"]) == ("rocksdb", "true")
