"""The files of `deploy/` and of the workflows name what exists, and keep what docs/deploy.md promises."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from places import ROOT

DEPLOY = ROOT / "deploy"
WORKFLOWS = ROOT / ".github" / "workflows"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def read_all(path: Path) -> list[Any]:
    """Documents of a YAML file."""
    return list(YAML(typ="safe").load_all(path.read_text(encoding="utf-8")))


def test_the_image_installs_the_runtime_alone_for_a_user_without_rights() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    installs = re.findall(r"pip install [^\\\n]*", final)
    assert len(installs) == 3
    assert "--requirement /tmp/runtime.txt --constraint /tmp/constraints.txt" in installs[0]
    assert all("--no-deps" in install for install in installs[1:])
    assert "/healthz" in final.partition("HEALTHCHECK")[2]
    assert re.search(r"^USER \d+$", final, re.MULTILINE)
    assert "COPY" not in final, "the model is mounted"


def test_the_image_is_built_from_files_that_exist_and_are_not_ignored() -> None:
    kept = set(re.findall(r"^!(\S+)", (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    sources = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    mounted = re.findall(r"type=bind,source=(\S+?),", DOCKERFILE)
    named = {name for line in sources for name in line.split()} | set(mounted)
    assert named == {"pyproject.toml", "README.md", "LICENSE.md", "src", "requirements/runtime.txt", "constraints.txt"}
    for name in named:
        assert (ROOT / name).exists()
        assert name.partition("/")[0] in kept


def test_compose_publishes_on_this_machine_alone() -> None:
    (document,) = read_all(DEPLOY / "compose.yaml")
    service = document["services"]["ser"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["read_only"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def test_kubernetes_runs_the_user_of_the_image_and_asks_for_its_health() -> None:
    documents = {document["kind"]: document for document in read_all(DEPLOY / "kubernetes.yaml")}
    assert set(documents) == {"PersistentVolumeClaim", "Deployment", "Service"}
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert f"\nUSER {pod['securityContext']['runAsUser']}\n" in DOCKERFILE
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert documents["Service"]["metadata"]["name"] in container["args"], "the name under which it is called is allowed"
    labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert documents["Service"]["spec"]["selector"] == labels == documents["Deployment"]["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("name", ["ser.service", "compose.yaml", "kubernetes.yaml", "Dockerfile"])
def test_the_page_tells_of_every_file(name: str) -> None:
    assert f"deploy/{name}" in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_the_unit_serves_the_model_that_the_page_installs() -> None:
    unit = (DEPLOY / "ser.service").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    command = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert command == ["/opt/ser/bin/ser serve /etc/ser/model.onnx --host 127.0.0.1 --port 8000"]
    assert "-m venv /opt/ser" in page
    assert "/etc/ser/model.onnx" in page
    assert "SuccessExitStatus=143" in unit, "what `ser serve` ends with after SIGTERM"


def test_the_workflow_runs_the_checks_on_every_python() -> None:
    (workflow,) = read_all(WORKFLOWS / "ci.yml")
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {"run": ".ci/run"} in job["steps"]


def test_a_release_is_published_without_a_token() -> None:
    (workflow,) = read_all(WORKFLOWS / "release.yml")
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    assert not re.search(r"secrets\.|password", (WORKFLOWS / "release.yml").read_text(encoding="utf-8"))
