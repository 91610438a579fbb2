"""The manifests in deploy/kubernetes: valid by the cluster's own schema, and those that we render.

Run as a program it writes the services' manifests anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from balancer import read_config
from balancer.discovery import RegistrySettings
from services.kit.server import ServerSettings
from services.kit.settings import check_config
from services.ops.fleet.kubernetes.manifest import (
    Deployed,
    deployment,
    disruption_budget,
    service,
    volume_claim,
)

FOLDER = Path(__file__).resolve().parents[4] / "deploy" / "kubernetes"
SERVICES = ("greetings", "products", "users")
# `preStop.sleep` came with 1.30.
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
HEADING = "# Rendered from services/ops/fleet/kubernetes/manifest.py; a test keeps it true.\n"


def rendered(name: str) -> str:
    wanted = Deployed(service=name, version="1", image="txmesh:1", drain_s=ServerSettings().drain_s)
    parts = [volume_claim(wanted), service(wanted), disruption_budget(wanted), deployment(wanted)]
    return HEADING + yaml.safe_dump_all(parts, sort_keys=False)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_is_valid_to_the_letter(path: Path, version: str) -> None:
    if path.name == "kustomization.yaml":
        return
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_strict_check_sees_a_misspelt_key() -> None:
    broken = documents(FOLDER / "users.yaml")[-1]
    broken["spec"]["strategy"]["rollingUpdate"]["maxUnavailible"] = 0
    with pytest.raises(kubernetes_validate.ValidationError, match="maxUnavailible"):
        kubernetes_validate.validate(broken, NEWEST, strict=True)


@pytest.mark.parametrize("name", SERVICES)
def test_a_services_manifest_is_what_is_rendered(name: str) -> None:
    assert (FOLDER / f"{name}.yaml").read_text() == rendered(name)


def test_the_whole_names_every_file() -> None:
    [whole] = documents(FOLDER / "kustomization.yaml")
    assert sorted(whole["resources"]) == sorted(
        path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml"
    )


def test_the_configuration_in_it_can_be_used(tmp_path: Path) -> None:
    [config, *_] = documents(FOLDER / "configuration.yaml")
    path = tmp_path / "mesh.toml"
    path.write_text(config["data"]["mesh.toml"])
    file = read_config(path)
    check_config(file)
    assert file.section("registry", RegistrySettings).url.startswith("kubernetes:")


def test_a_pod_has_the_time_that_its_drain_takes() -> None:
    wanted = Deployed(service="users", version="1", image="txmesh:1", drain_s=30.0)
    pod = deployment(wanted)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    notice_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > notice_s + 30
    assert deployment(wanted)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


if __name__ == "__main__":
    for each in SERVICES:
        (FOLDER / f"{each}.yaml").write_text(rendered(each))
