"""The type constructors of the package language as tables (``starlark-api.md`` section 7)."""

from __future__ import annotations

from collections.abc import Mapping

from gitopsd.evaluate.arguments import (
    ANY,
    BOOL,
    DICT,
    INT,
    LIST,
    TEXT,
    Signature,
    bind,
    may,
    need,
    non_empty,
    signature,
)
from gitopsd.evaluate.engine import StarlarkValue
from gitopsd.evaluate.rules import (
    ASSERTIONS,
    application_protocol,
    between,
    duration,
    duration_or_none,
    one_of,
    url,
)

_TARGETS = need("target_value", ANY)
_SMALLEST_MEMORY = 6

_ALL = (
    signature(
        "ServiceConfig",
        need("image", ANY),
        may("ports", DICT),
        may("public_ports", DICT),
        may("files", DICT),
        may("entrypoint", LIST),
        may("cmd", LIST),
        may("env_vars", DICT),
        may("private_ip_address_placeholder", TEXT),
        may("cpu_allocation", INT, between(0)),
        may("memory_allocation", INT, between(_SMALLEST_MEMORY)),
        may("max_cpu", INT, between(0)),
        may("min_cpu", INT, between(0)),
        may("max_memory", INT, between(_SMALLEST_MEMORY)),
        may("min_memory", INT, between(0)),
        may("ready_conditions", ("ReadyCondition",)),
        may("labels", DICT),
        may("user", ("User",)),
        may("tolerations", LIST),
        may("node_selectors", DICT),
        may("files_to_be_moved", DICT),
        may("tini_enabled", BOOL),
        may("tty_enabled", BOOL),
        may("devices", LIST),
        may("publish_udp", BOOL),
        may("capabilities", LIST),
        may("gpu", ("GpuConfig",)),
        may("privileged", BOOL),
        may("host_pid_namespace", BOOL),
        may("bind_mounts", DICT),
    ),
    signature(
        "PortSpec",
        may("number", INT, between(1, 65535)),
        may("transport_protocol", TEXT, one_of("TCP", "UDP", "SCTP")),
        may("application_protocol", TEXT, application_protocol),
        may("wait", ANY, duration_or_none),
        may("url", TEXT, url),
    ),
    signature(
        "Directory",
        may("artifact_names", LIST),
        may("persistent_key", TEXT),
        may("size", INT, between(1)),
    ),
    signature(
        "ReadyCondition",
        need("recipe", ANY),
        need("field", TEXT),
        need("assertion", TEXT, one_of(*ASSERTIONS)),
        _TARGETS,
        may("interval", TEXT, duration),
        may("timeout", TEXT, duration),
    ),
    signature("ExecRecipe", need("command", LIST, non_empty), may("extract", DICT)),
    signature(
        "GetHttpRequestRecipe",
        need("port_id", TEXT),
        need("endpoint", TEXT),
        may("extract", DICT),
        may("headers", DICT),
    ),
    signature(
        "PostHttpRequestRecipe",
        need("port_id", TEXT),
        need("endpoint", TEXT),
        may("body", TEXT),
        may("content_type", TEXT),
        may("extract", DICT),
        may("headers", DICT),
    ),
    signature(
        "ImageSpec",
        need("image", TEXT, non_empty),
        may("registry", TEXT),
        may("username", TEXT),
        may("password", TEXT),
    ),
    signature(
        "ImageBuildSpec",
        need("image_name", TEXT, non_empty),
        need("build_context_dir", TEXT, non_empty),
        may("build_file", TEXT),
        may("target_stage", TEXT),
        may("build_args", DICT),
    ),
    signature(
        "NixBuildSpec",
        need("flake_location_dir", TEXT, non_empty),
        need("build_context_dir", TEXT, non_empty),
        need("image_name", TEXT, non_empty),
        may("flake_output", TEXT),
    ),
    signature("StoreSpec", need("src", TEXT, non_empty), may("name", TEXT)),
    signature("User", need("uid", INT, between(0)), may("gid", INT, between(0))),
    signature(
        "Toleration",
        may("key", TEXT),
        may("operator", TEXT, one_of("Exists", "Equal")),
        may("value", TEXT),
        may("effect", TEXT, one_of("NoSchedule", "NoExecute", "PreferNoSchedule")),
        may("toleration_seconds", INT, between(-(2**63), 2**63 - 1)),
    ),
    signature(
        "GpuConfig",
        may("count", INT, between(-1, 2**63 - 1)),
        may("device_ids", LIST),
        may("shm_size", INT, between(0)),
        may("ulimits", DICT),
        may("driver", ANY),
    ),
    signature(
        "Service",
        need("name", TEXT, non_empty),
        need("hostname", TEXT),
        need("ip_address", TEXT),
        need("ports", DICT),
    ),
)  # fmt: skip

SIGNATURES: dict[str, Signature] = {item.name: item for item in _ALL}
TYPE_NAMES: tuple[str, ...] = tuple(SIGNATURES)


def construct(
    type_name: str, args: tuple[StarlarkValue, ...], kwargs: Mapping[str, StarlarkValue]
) -> dict[str, StarlarkValue]:
    """The fields that a constructor call sets, checked, in declared order. Raises HostError."""
    return bind(SIGNATURES[type_name], args, kwargs)
