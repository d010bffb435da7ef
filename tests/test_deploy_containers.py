"""The Dockerfile, compose.yaml and kubernetes.yaml in examples/deploy: they fit together and start."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest
import yaml

from support.deployed import DEPLOY, Deployed, dockerfile, entrypoint, flag, free_port, instruction, setting
from support.processes import wait_for

pytestmark = pytest.mark.ours("Gunicorn has no ready_path")


def image() -> dict[str, str]:
    """The image's variables, PATH aside, and a port that is free here."""
    pairs = dict(word.split("=", 1) for word in shlex.split(instruction("ENV")))
    assert pairs.pop("PATH") == "/venv/bin:$PATH"
    assert pairs.pop("PORT") == instruction("EXPOSE")
    return {**pairs, "PORT": str(free_port())}


def objects() -> dict[str, Any]:
    """What kubernetes.yaml makes, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def seconds(text: str) -> int:
    """A duration as compose writes it."""
    return int(text.removesuffix("s"))


def assert_healthy(server: Deployed, healthy: bool) -> None:
    """What the image's HEALTHCHECK says."""
    flags, _, words = instruction("HEALTHCHECK").partition("CMD ")
    assert set(re.findall(r"--(\S+?)=", flags)) == {"interval", "timeout", "start-period"}
    python, *arguments = json.loads(words)
    assert python == "python"
    done = subprocess.run([sys.executable, *arguments], env=server.env, capture_output=True, check=False)
    assert (done.returncode == 0) is healthy, done.stderr


def test_the_image_starts_the_service_without_a_shell() -> None:
    with Deployed([*entrypoint(), *json.loads(instruction("CMD"))], image()) as server:
        port = server.env["PORT"]
        server.wait_for_log(rf"Listening at: http://0\.0\.0\.0:{port} \({server.pid}\)")
        assert_healthy(server, True)
        server.stop(signal.Signals[instruction("STOPSIGNAL")])
        assert_healthy(server, False)


def test_the_image_does_not_run_as_root() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    # What comes after USER does not install anything.
    names = [name for name, _ in dockerfile()]
    assert "RUN" not in names[names.index("USER") :]


def test_compose_waits_for_the_service_to_end() -> None:
    (shop,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert seconds(shop["stop_grace_period"]) > setting("graceful_timeout")
    assert shop["ports"] == [f"8000:{instruction('EXPOSE')}"]
    assert "command" not in shop


def test_the_pod_starts_the_service_and_fails_its_probe_before_it_ends() -> None:
    pod = objects()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    added = {each["name"]: each["value"] for each in container["env"]}
    with Deployed([*entrypoint(), *container["args"]], {**image(), **added}) as server:
        probes = [container[name]["httpGet"] for name in ("startupProbe", "readinessProbe")]
        assert [server.get(probe["path"]).status for probe in probes] == [200, 200]
        server.kill(signal.SIGTERM)
        wait_for(lambda: server.get(probes[1]["path"]).status == 503, "a 503")
        assert server.get("/").status == 200
        server.stop()


def test_the_pod_gets_the_time_that_it_needs_to_end() -> None:
    pod = objects()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    delay = flag(container["args"], "--shutdown-delay")
    assert pod["terminationGracePeriodSeconds"] > delay + setting("graceful_timeout")
    probe = container["readinessProbe"]
    assert delay >= probe["periodSeconds"] * probe["failureThreshold"]


def test_the_objects_of_kubernetes_belong_together() -> None:
    found = objects()
    assert set(found) == {"Deployment", "Service", "PodDisruptionBudget"}
    template = found["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    assert str(port["containerPort"]) == instruction("EXPOSE")
    assert [each["targetPort"] for each in found["Service"]["spec"]["ports"]] == [port["name"]]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in template["spec"]["volumes"]
    }
