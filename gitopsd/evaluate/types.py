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
    RECIPES,
    application_protocol,
    between,
    bind_mounts,
    command,
    duration_or_empty,
    duration_or_none,
    labels,
    named_texts,
    one_of,
    one_of_types,
    text_map,
    url,
)

_TARGETS = need("target_value", ANY)
_SMALLEST_MEMORY = 6
_LARGEST = 2**63 - 1

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
        may("private_ip_address_placeholder", TEXT, non_empty),
        may("cpu_allocation", INT, between(0)),
        may("memory_allocation", INT, between(_SMALLEST_MEMORY)),
        may("max_cpu", INT, between(0)),
        may("min_cpu", INT, between(0)),
        may("max_memory", INT, between(_SMALLEST_MEMORY)),
        may("min_memory", INT, between(0)),
        may("ready_conditions", ("ReadyCondition",)),
        may("labels", DICT, labels),
        may("user", ("User",)),
        may("tolerations", LIST),
        may("node_selectors", DICT, text_map),
        may("files_to_be_moved", DICT, text_map),
        may("tini_enabled", BOOL),
        may("tty_enabled", BOOL),
        may("devices", LIST),
        may("publish_udp", BOOL),
        may("capabilities", LIST),
        may("gpu", ("GpuConfig",)),
        may("privileged", BOOL),
        may("host_pid_namespace", BOOL),
        may("bind_mounts", DICT, bind_mounts),
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
        may("artifact_names", LIST, named_texts),
        may("persistent_key", TEXT, non_empty),
        may("size", INT, between(1, _LARGEST)),
    ),
    signature(
        "ReadyCondition",
        need("recipe", ANY, one_of_types(*RECIPES)),
        need("field", TEXT, non_empty),
        need("assertion", TEXT, one_of(*ASSERTIONS)),
        _TARGETS,
        may("interval", TEXT, duration_or_empty),
        may("timeout", TEXT, duration_or_empty),
    ),
    signature("ExecRecipe", need("command", LIST, command), may("extract", DICT, text_map)),
    signature(
        "GetHttpRequestRecipe",
        need("port_id", TEXT, non_empty),
        need("endpoint", TEXT),
        may("extract", DICT, text_map),
        may("headers", DICT, text_map),
    ),
    signature(
        "PostHttpRequestRecipe",
        need("port_id", TEXT, non_empty),
        need("endpoint", TEXT),
        may("body", TEXT),
        may("content_type", TEXT),
        may("extract", DICT, text_map),
        may("headers", DICT, text_map),
    ),
    signature(
        "ImageSpec",
        need("image", TEXT, non_empty),
        may("registry", TEXT, non_empty),
        may("username", TEXT, non_empty),
        may("password", TEXT, non_empty),
    ),
    signature(
        "ImageBuildSpec",
        need("image_name", TEXT, non_empty),
        need("build_context_dir", TEXT, non_empty),
        may("build_file", TEXT, non_empty),
        may("target_stage", TEXT, non_empty),
        may("build_args", DICT, text_map),
    ),
    signature(
        "NixBuildSpec",
        need("flake_location_dir", TEXT, non_empty),
        need("build_context_dir", TEXT, non_empty),
        need("image_name", TEXT, non_empty),
        may("flake_output", TEXT, non_empty),
    ),
    signature("StoreSpec", need("src", TEXT, non_empty), may("name", TEXT, non_empty)),
    signature("User", need("uid", INT, between(0, _LARGEST)), may("gid", INT, between(0, _LARGEST))),
    signature(
        "Toleration",
        may("key", TEXT, non_empty),
        may("operator", TEXT, one_of("Exists", "Equal")),
        may("value", TEXT),
        may("effect", TEXT, one_of("NoSchedule", "NoExecute", "PreferNoSchedule")),
        may("toleration_seconds", INT, between(-_LARGEST - 1, _LARGEST)),
    ),
    signature(
        "GpuConfig",
        may("count", INT, between(-1, _LARGEST)),
        may("device_ids", LIST),
        may("shm_size", INT, between(0)),
        may("ulimits", DICT),
        may("driver", ANY),
    ),
    signature(
        "Service",
        need("name", TEXT, non_empty),
        need("hostname", TEXT, non_empty),
        need("ip_address", TEXT, non_empty),
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
