"""What an operator takes from `deploy/`: each file is checked by the program that will read it."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import kubernetes_validate
import psycopg
import pytest
import yaml

from aemon.config.loading import load_config
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from tests.deploy.images import ROOT
from tests.lacking import lacking
from tests.postgres import find_binaries

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
NOBODY = 65532
# The oldest Kubernetes these are written for, and the newest there is.
VERSIONS = ("1.27", kubernetes_validate.latest_version())


def said(*command: str) -> str:
    """What a program prints that finds no fault."""
    if shutil.which(command[0]) is None:
        lacking(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("file", ["systemd", "compose", "kubernetes/base"])
def test_a_configuration_loads(file, tmp_path):
    (tmp_path / "postgres").mkdir()
    for name in ("postgres_password", "postgres/password"):
        (tmp_path / name).write_text("s3cret\n")
    text = (DEPLOY / file / "aemon.yaml").read_text()
    (tmp_path / "aemon.yaml").write_text(text.replace("/run/secrets", str(tmp_path)))
    config = load_config(tmp_path / "aemon.yaml")
    assert config.http.listen.endswith(":9464")
    assert ("s3cret" in config.store.get_secret_value()) == (file != "systemd")


def test_prometheus_and_alertmanager_take_what_compose_gives_them(tmp_path):
    found = said("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert "SUCCESS" in found
    assert "SUCCESS" in said("amtool", "check-config", f"{DEPLOY}/alertmanager/alertmanager.yml")
    receives = tmp_path / "alertmanager.yml"  # as it is once somebody is to be told
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    receives.write_text(re.sub(r"^#  ", "  ", text, flags=re.MULTILINE))
    route = ("amtool", "config", "routes", "test", f"--config.file={receives}")
    routed = {level: said(*route, f"severity={level}").strip() for level in ("critical", "info")}
    assert routed == {"critical": "team", "info": "nobody"}
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (targets,) = [
        job["static_configs"][0]["targets"]
        for job in scraped["scrape_configs"]
        if job["job_name"] == "aemon"
    ]
    assert targets == [f"{name}:9464" for name in COMPOSE["services"] if name.startswith("aemon")]


def test_the_compose_file_is_one():
    check = str(Path(sys.executable).parent / "check-jsonschema")
    said(check, "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))


@pytest.mark.postgresql
def test_the_role_that_grafana_asks_as_reads_and_does_nothing_else(postgres_url, tmp_path):
    psql = next((path / "psql" for path in find_binaries() if (path / "psql").exists()), None)
    if psql is None:
        lacking("psql")
    (tmp_path / "password").write_text('it\'s "secret"\n')
    server, _, database = postgres_url.rpartition("/")
    environment = {
        "PATH": f"{psql.parent}:{os.environ['PATH']}", "PGHOST": "127.0.0.1",
        "PGPORT": server.rpartition(":")[2], "POSTGRES_USER": "aemon", "POSTGRES_DB": database,
        "READER_PASSWORD_FILE": str(tmp_path / "password"),
    }  # fmt: skip
    try:
        subprocess.run([DEPLOY / "initdb" / "reader.sh"], env=environment, check=True)
        engine = open_engine(postgres_url)
        revisions.prepare(engine)
        engine.dispose()
        as_reader = postgres_url.replace("aemon@", "aemon_reader@")
        with closing(psycopg.connect(as_reader, autocommit=True)) as connection:
            for table in ("scores", "flagged_records", "coverage", "runs"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
            connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM runs")
    finally:
        with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
            connection.execute("DROP OWNED BY aemon_reader")
            connection.execute("DROP ROLE aemon_reader")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_of_the_compose_file_trusts_nobody(name):
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert ":latest" not in service["image"]
    secrets = {key for key in service.get("environment", {}) if "PASSWORD" in key}
    assert all(key.endswith("_FILE") for key in secrets), "no password is in the environment"
    for needed, how in service.get("depends_on", {}).items():
        asked = how["condition"] == "service_healthy"
        assert not asked or "healthcheck" in COMPOSE["services"][needed]


def manifests(folder: str, tmp_path: Path) -> list[dict]:
    """What `kubectl apply --kustomize` would send."""
    copy = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    if shutil.which("kubectl") is None:
        lacking("kubectl")
    command = ["kubectl", "kustomize", str(copy / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "must be a file" in done.stderr:  # Debian 12's knows folders by another name
        file = copy / folder / "kustomization.yaml"
        file.write_text(file.read_text().replace("  - ../base\n", "") + "bases: [../base]\n")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(kind: str, found: list[dict]) -> dict:
    (one,) = [each for each in found if each["kind"] == kind]
    return one


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_manifests(version, tmp_path):
    upgrade = yaml.safe_load((KUBERNETES / "db-upgrade.yaml").read_text())
    for manifest in [*manifests("base", tmp_path), upgrade]:
        kubernetes_validate.validate(manifest, version, strict=True)
        assert manifest["metadata"].get("namespace", "aemon") == "aemon"


def test_the_manifests_hang_together(tmp_path):
    found = manifests("monitored", tmp_path)
    deployment, service = of_kind("Deployment", found), of_kind("Service", found)
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    # What selects pods selects these, and what mounts finds what it mounts
    budget, network = of_kind("PodDisruptionBudget", found), of_kind("NetworkPolicy", found)
    for selector in (
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"],
        budget["spec"]["selector"]["matchLabels"],
        network["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    assert deployment["spec"]["replicas"] > budget["spec"]["minAvailable"]
    mounted = template["spec"]["volumes"][0]["configMap"]["name"]
    assert of_kind("ConfigMap", found)["metadata"]["name"] == mounted, "no hash: it is reloaded"
    # The operator's own kind, whose schema is nowhere at hand: what it names is there
    scraped = of_kind("ServiceMonitor", found)["spec"]
    assert scraped["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [port["port"] for port in scraped["endpoints"]] == [
        port["name"] for port in service["spec"]["ports"]
    ]


def test_pods_are_restricted_and_are_the_images_user(tmp_path):
    upgrade = yaml.safe_load((KUBERNETES / "db-upgrade.yaml").read_text())
    for owner in (of_kind("Deployment", manifests("base", tmp_path)), upgrade):
        pod = owner["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == NOBODY
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("subPath" not in mount for mount in container["volumeMounts"])
    assert f"USER {NOBODY}:{NOBODY}\n" in (DEPLOY / "Dockerfile").read_text()


def test_what_is_released_is_what_is_deployed():
    version = re.search(
        r'"(.+)"', (ROOT / "aemon" / "__init__.py").read_text().split("__version__")[1]
    )
    assert version
    for file in ("base/deployment.yaml", "db-upgrade.yaml"):
        assert f"image: aemon:{version[1]}\n" in (KUBERNETES / file).read_text()


def test_the_runbook_names_files_that_are_there():
    text = (DEPLOY / "README.md").read_text()
    scripts = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"(?<![\w/>])(?<!> )deploy/[\w./-]+", scripts))
    named |= {f"deploy/{name}" for name in re.findall(r"`((?:compose|kubernetes)/[\w./-]+)`", text)}
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
