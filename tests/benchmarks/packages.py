"""Packages of known size: what is planned and applied by the benchmarks. Nothing in them loads the machine."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

MANIFEST = "name: github.com/example/devnets/package\n"

TINY = """\
def run(plan, text="one"):
    plan.render_templates(
        name="settings",
        config={"settings.txt": struct(template="text={{ .text }}\\n", data={"text": text})},
    )
"""
"""One instruction, no process."""

FIFTEEN = """\
def run(plan, level="info"):
    data = plan.upload_files(src="./static/file-0.txt", name="static")
    for number in range(15):
        name = "node-{}".format(number)
        plan.add_service(name, ServiceConfig(
            image="sleeper:1",
            cmd=["sleep", "infinity"],
            env_vars={"LEVEL": level if number == 0 else "info", "NAME": name},
            files={"/static": data, "/data": Directory(persistent_key=name)},
        ))
"""
"""15 services and what they mount: 16 instructions."""

FIFTY = """\
def run(plan, level="info", broken=False):
    for number in range(50):
        plan.add_service("node-{}".format(number), ServiceConfig(
            image="sleeper:1",
            cmd=["sleep", "infinity"],
            env_vars={"LEVEL": level},
        ))
    plan.exec("node-49", ExecRecipe(command=["sh", "-c", "exit 3" if broken else "exit 0"]))
"""
"""50 services that all change with one argument, and a command that fails when it shall."""

WAITING = """\
def run(plan):
    plan.add_service("deaf", ServiceConfig(
        image="sleeper:1",
        cmd=["sleep", "infinity"],
        ports={"http": PortSpec(8080, wait="2m")},
    ))
"""
"""A service that never opens its port."""

CALLING = """\
CALL = '''
import socket
page = socket.create_connection(("127.0.0.1", {}))
page.sendall(b"GET /{} HTTP/1.0\\\\r\\\\n\\\\r\\\\n")
page.recv(9)
'''

def run(plan, port, name):
    plan.run_sh(name="call", run="python3 -I -S -c '{}'".format(CALL.format(port, name)))
"""
"""A task that asks for a page of this machine: an effect that can be seen from outside."""

_MAIN = """\
nodes = import_module("./nodes.star")
genesis = import_module("./genesis.star")
checks = import_module("./checks.star")

def run(plan, level="info", count=50, uploads=13):
    files = []
    for n in range(uploads):
        files.append(plan.upload_files(src="./static/file-{}.txt".format(n), name="upload-{}".format(n)))
    made = genesis.make(plan, files)
    services = nodes.launch(plan, count, level, files, made)
    checks.check(plan, services)
    return {service.name: service.ip_address for service in services}
"""
_GENESIS = """\
def make(plan, files):
    made = []
    for number in range(30):
        task = plan.run_sh(
            name="task-{}".format(number),
            run="mkdir -p /tmp/out && echo genesis {} > /tmp/out/genesis.txt && echo made".format(number),
            image="sleeper:1",
            files={"/in": files[number % len(files)]},
            store=[StoreSpec(src="/tmp/out/genesis.txt", name="genesis-{}".format(number))],
        )
        made.append(task)
    return made
"""
_NODES = """\
templates = import_module("./templates.star")

def config_of(plan, number, level, peers, made):
    return plan.render_templates(
        name="config-{}".format(number),
        config={
            "node.json": struct(
                template=templates.NODE,
                data={
                    "name": "node-{}".format(number),
                    "level": level if number == 7 else "info",
                    "genesis": made[number % len(made)].output,
                    "peers": peers,
                },
            ),
        },
    )

def launch(plan, count, level, files, made):
    services = []
    for number in range(count):
        name = "node-{}".format(number)
        mounts = {
            "/genesis": made[number % len(made)].files_artifacts[0],
            "/static": files[number % len(files)],
            "/data": Directory(persistent_key="data-" + name),
        }
        if number < 40:
            mounts["/config"] = config_of(plan, number, level, [s.ip_address for s in services[-3:]], made)
        services.append(plan.add_service(name, ServiceConfig(
            image="sleeper:1",
            cmd=["sleep", "infinity"],
            env_vars={"NAME": name, "FIRST": services[0].ip_address if services else "", "LOG": "info"},
            files=mounts,
            labels={"role": "node", "number": str(number)},
        )))
        plan.print("{} is at {}".format(name, services[-1].ip_address))
    return services
"""
_TEMPLATES = '''\
NODE = """{
  "name": "{{ .name }}",
  "level": "{{ .level }}",
  "genesis": "{{ .genesis }}",
  "peers": [{{ range $i, $peer := .peers }}{{ if $i }}, {{ end }}"{{ $peer }}"{{ end }}]
}
"""
'''
_CHECKS = """\
def check(plan, services):
    answers = []
    for service in services:
        answers.append(plan.exec(service.name, ExecRecipe(command=["echo", service.name, service.ip_address])))
    for service in services[:27]:
        plan.wait(
            service.name,
            recipe=ExecRecipe(command=["echo", "ready"]),
            field="output",
            assertion="==",
            target_value="ready\\n",
            timeout="20s",
        )
    for answer in answers[:20]:
        plan.verify(answer["code"], "==", 0)
    for service in services[:5]:
        plan.store_service_files(service.name, src="/config", name="kept-" + service.name)
    for answer in answers[:15]:
        plan.print(answer["output"])
"""


def package_of_300() -> dict[str, str]:
    """300 instructions in six modules: 50 services, 30 tasks, 40 templates, 13 uploads, 50 execs, 27 waits,
    20 verifications, 5 captures and 65 prints; its services sleep."""
    return {
        "kurtosis.yml": MANIFEST,
        "main.star": _MAIN,
        "genesis.star": _GENESIS,
        "nodes.star": _NODES,
        "templates.star": _TEMPLATES,
        "checks.star": _CHECKS,
        **{f"static/file-{number}.txt": f"file {number}\n" * 100 for number in range(13)},
    }


def package_of(main: str) -> dict[str, str]:
    """A package of one module and one file to upload."""
    return {"kurtosis.yml": MANIFEST, "main.star": main, "static/file-0.txt": "file 0\n" * 100}


def repository_of(package: Mapping[str, str], environments: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The files of an environment repository whose environments all use one package."""
    entries = {name: {"package": "package", **entry} for name, entry in environments.items()}
    defined = {"gitopsd.yaml": yaml.safe_dump({"environments": entries})}
    return defined | {f"package/{path}": text for path, text in package.items()}
