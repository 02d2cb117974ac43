"""The environments file and the arguments of environments."""

from __future__ import annotations

import textwrap

import pytest

from gitopsd.errors import Reason, UserError
from gitopsd.fetch import Fetched, read_arguments, read_environments
from gitopsd.model.environment import (
    ArgumentsFile,
    DriftPolicy,
    Environment,
    InterruptedPolicy,
    OrderMode,
    Policy,
    PrunePolicy,
    RollbackPolicy,
    StepPolicy,
    StepRule,
)
from gitopsd.model.values import Frozen, thaw
from tests.unit.sources import COMMIT, SOURCE, Files, Yaml, lines


def fetched(text: str) -> Fetched:
    return read_environments(SOURCE, COMMIT, Files().put("gitopsd.yaml", textwrap.dedent(text)), Yaml())


def only(text: str) -> Environment:
    found = fetched(text)
    assert lines(problem for problems in found.broken.values() for problem in problems) == ""
    (environment,) = found.environments
    return environment


def told(text: str) -> str:
    """What is wrong with the environment ``dev`` whose body is given."""
    found = fetched("environments:\n  dev:\n" + textwrap.indent(textwrap.dedent(text), "    "))
    return lines(found.broken.get("dev", ()))


def test_the_defaults_are_those_of_the_design() -> None:
    assert only("environments: {dev: {package: ./chain}}") == Environment(
        name="dev",
        source=SOURCE,
        package="./chain",
        enclave="dev",
        backend="local",
        args=Frozen(),
        policy=Policy(),
        position="gitopsd.yaml:1:16",
    )


def test_every_key_is_read() -> None:
    environment = only("""\
        environments:
          dev:
            package: github.com/acme/chain/sub@release/v1.0
            args: args/dev.yaml
            main_file: ./nets/small.star
            main_function: start
            enclave: shared
            backend: k8s
            ref: feature/x
            rollback: none
            drift: report
            prune: data
            order: graph
            retries: 0
            timeout: 1h30m
            interrupted: hold
            suspend: true
            steps:
              "task/seed*": once
              "exec/*": always
        """)
    assert environment.source.ref == "feature/x"
    assert environment.source.url == SOURCE.url
    assert (environment.enclave, environment.backend) == ("shared", "k8s")
    assert environment.args == ArgumentsFile(path="args/dev.yaml")
    assert (environment.main_file, environment.main_function) == ("nets/small.star", "start")
    assert environment.policy == Policy(
        rollback=RollbackPolicy.NONE,
        drift=DriftPolicy.REPORT,
        prune=PrunePolicy.DATA,
        order=OrderMode.GRAPH,
        retries=0,
        timeout=5400.0,
        interrupted=InterruptedPolicy.HOLD,
        suspend=True,
        steps=(
            StepRule(glob="task/seed*", policy=StepPolicy.ONCE),
            StepRule(glob="exec/*", policy=StepPolicy.ALWAYS),
        ),
    )


def test_policies_may_stand_together() -> None:
    environment = only("environments: {dev: {package: p, policies: {rollback: none}, drift: ignore}}")
    assert environment.policy == Policy(rollback=RollbackPolicy.NONE, drift=DriftPolicy.IGNORE)
    assert "beside 'policies'" in told("package: p\nrollback: none\npolicies: {rollback: none}")
    assert "did you mean 'drift'" in told("package: p\npolicies: {drft: heal}")


@pytest.mark.parametrize(
    ("word", "policy"), [("on", "on"), ("off", "off"), ("yes", "on"), ("'off'", "off"), ("data", "data")]
)
def test_prune_takes_what_yaml_makes_of_on_and_off(word: str, policy: str) -> None:
    assert only(f"environments: {{dev: {{package: p, prune: {word}}}}}").policy.prune == PrunePolicy(policy)


def test_every_mistake_is_told_at_once_with_its_place_its_value_and_what_was_expected() -> None:
    assert told("""\
        pakcage: x
        args: 5
        enclave: Dev_1
        rollback: lastgood
        timeout: 30
        retries: -1
        drift: no
        suspend: maybe
        steps: {"task/*": sometimes}
        ref: --upload-pack=x
        """).split("\n") == [
        "gitopsd.yaml:3:5: environments.dev: unknown key 'pakcage' (did you mean 'package'?)",
        "gitopsd.yaml:2:3: environments.dev: lacks the key 'package' (a path, or github.com/owner/repo[/path]@ref)",
        "gitopsd.yaml:12:10: environments.dev.ref: '--upload-pack=x' is no valid branch, tag or commit name",
        "gitopsd.yaml:5:14: environments.dev.enclave: 'Dev_1' is no name"
        " (expected 1 to 63 of a-z, 0-9 and '-', a letter first, no '-' at the end)",
        "gitopsd.yaml:4:11: environments.dev.args: 5 is not what was expected here: a mapping of arguments,"
        " or the path of a file that holds one (write it in quotes)",
        "gitopsd.yaml:6:15: environments.dev.rollback: 'lastgood' is not what was expected here:"
        " one of last-good, none (did you mean 'last-good'?)",
        "gitopsd.yaml:9:12: environments.dev.drift: False is not what was expected here: one of heal, report, ignore",
        "gitopsd.yaml:8:14: environments.dev.retries: -1 is not what was expected here: a whole number from 0 to 1000",
        "gitopsd.yaml:7:14: environments.dev.timeout: 30 is not what was expected here:"
        " a duration above zero, such as '30m' or '1h30m' (did you mean '30s'?)",
        "gitopsd.yaml:11:23: environments.dev.steps.task/*: 'sometimes' is not what was expected here:"
        " one of once, per-incarnation, always",
        "gitopsd.yaml:10:14: environments.dev.suspend: 'maybe' is not what was expected here: true or false",
    ]


@pytest.mark.parametrize(
    "wrong",
    ["timeout: 5x", "timeout: 0s", "timeout: -1m", "timeout: ", "order: fast", "retries: 1.5", "retries: true",
     "steps: [a]", "steps: {'': once}", "interrupted: 1", "prune: {a: b}", "backend: ''", "enclave: 7", "ref: 1.0",
     "args: [1]", "args: ../up.yaml", "args: /etc/passwd", "policies: x",
     "main_file: ../main.star", "main_file: /main.star", "main_file: .", "main_file: 5", "main_function: 'run()'",
     "main_function: ''"],
)  # fmt: skip
def test_a_wrong_value_fails_only_its_own_environment(wrong: str) -> None:
    found = fetched(f"environments:\n  bad: {{package: p, {wrong}}}\n  good: {{package: p}}\n")
    assert [environment.name for environment in found.environments] == ["good"]
    assert list(found.broken) == ["bad"]
    assert found.broken["bad"][0].position.startswith("gitopsd.yaml:2:")
    assert found.broken["bad"][0].reason is Reason.ENVIRONMENT_INVALID


@pytest.mark.parametrize(
    "package",
    ["../x", "/etc", "a/../../b", "github.com/o", "gitlab.com/o/r", "https://github.com/o/r", "github.com/o/r@-x",
     "github.com/o/r@", '"a\\0b"', "''", "5", "[a]"],
)  # fmt: skip
def test_a_package_is_a_path_inside_or_a_locator(package: str) -> None:
    assert "environments.dev.package: " in told(f"package: {package}")


@pytest.mark.parametrize("name", ["Dev", "1dev", "dev_1", "dev-", "-dev", "a" * 64, "a.b", "ünï", "''"])
def test_names_are_labels(name: str) -> None:
    found = fetched(f"environments: {{{name}: {{package: p}}}}")
    assert found.environments == ()
    assert "is no name" in lines(found.broken[name.strip("'")])


def test_the_longest_name_is_a_name() -> None:
    assert only(f"environments: {{{'a' * 63}: {{package: p}}}}").name == "a" * 63


@pytest.mark.parametrize("body", ["", "null", "5", "[package]", "text"])
def test_an_environment_is_a_mapping(body: str) -> None:
    found = fetched(f"environments:\n  dev: {body}\n  good: {{package: p}}\n")
    assert [environment.name for environment in found.environments] == ["good"]
    assert "a mapping with at least the key 'package'" in lines(found.broken["dev"])


def test_two_environments_that_claim_one_enclave_are_both_refused_and_named() -> None:
    found = fetched("""\
        environments:
          one: {package: p, enclave: shared}
          two: {package: p, enclave: shared}
          three: {package: p, enclave: shared, backend: other}
          shared: {package: p}
          free: {package: p}
        """)
    assert [environment.name for environment in found.environments] == ["three", "free"]
    assert "gitopsd.yaml:2:30: environments.one: the enclave 'shared' is claimed by 'two' and 'shared' too" in lines(
        found.broken["one"]
    )
    assert "'one' and 'two'" in lines(found.broken["shared"])


def test_a_key_that_is_given_twice_is_told_with_its_place() -> None:
    assert told("package: a\npackage: b") == (
        "gitopsd.yaml:4:5: the key 'environments.dev.package' is given more than once"
    )
    assert "'environments.dev.args.x.y'" in told("package: a\nargs: {x: {y: 1, y: 2}}")
    found = fetched("environments:\n  dev: {package: a}\n  dev: {package: b}\n  dev-2: {package: a}\n")
    assert [environment.name for environment in found.environments] == ["dev-2"]
    assert "gitopsd.yaml:3:3" in lines(found.broken["dev"])


def test_an_unknown_key_of_the_file_stops_no_environment() -> None:
    found = fetched("enviroments: {}\nenvironments: {dev: {package: p}}")
    assert [environment.name for environment in found.environments] == ["dev"]
    assert (
        lines(found.problems) == "gitopsd.yaml:1:1: the file: unknown key 'enviroments' (did you mean 'environments'?)"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no environments in the file"),
        ("5", "no environments in the file"),
        ("environmnts: {}", "did you mean 'environments'?"),
        ("environments: [a]", "no mapping of names"),
        ("environments:", "no mapping of names"),
        ("environments: {a: {package: p}}\nenvironments: {b: {package: p}}", "more than once"),
        ("environments: {", "not valid YAML"),
        ("environments: {a: &x {b: *x}}", "circles"),
        ("environments: {" + ", ".join(f"e{index}: 1" for index in range(1001)) + "}", "more than 1000"),
    ],
)
def test_a_file_that_says_nothing_of_environments_is_refused_as_a_whole(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        fetched(text)
    assert expected in str(caught.value)
    assert caught.value.position.startswith("gitopsd.yaml")


def test_an_empty_mapping_defines_nothing() -> None:
    assert fetched("environments: {}") == Fetched()


def test_a_commit_without_the_file_is_told() -> None:
    with pytest.raises(UserError) as caught:
        read_environments(SOURCE, COMMIT, Files(), Yaml())
    assert caught.value.reason is Reason.ENVIRONMENT_INVALID
    assert "there is no gitopsd.yaml" in str(caught.value)


def test_a_message_shows_a_hostile_value_short_and_on_one_line() -> None:
    message = told('package: p\nrollback: "' + "x" * 5000 + '\\n\\e[31m"')
    assert len(message) < 400
    assert "\x1b" not in message


# --- arguments --------------------------------------------------------------------------------------------


def environment(args: str) -> Environment:
    return only(f"environments: {{dev: {{package: p, args: {args}}}}}")


def read(args: str, files: Files) -> object:
    return thaw(read_arguments(environment(args), COMMIT, files, Yaml()).values)


def test_inline_arguments_keep_references_to_secrets() -> None:
    assert read("{a: 1, key: {secret: TOKEN}}", Files()) == {"a": 1, "key": {"secret": "TOKEN"}}
    assert read("{}", Files()) == {}
    assert read("", Files()) == {}


def test_a_file_of_arguments_is_yaml_or_json() -> None:
    files = Files().put("a/dev.yaml", "nodes: 3\nkey: {secret: TOKEN}\n").put("dev.json", '{"nodes": [1, 2.0, null]}')
    assert read("./a/dev.yaml", files) == {"nodes": 3, "key": {"secret": "TOKEN"}}
    assert read("dev.json", files) == {"nodes": [1, 2.0, None]}
    assert read_arguments(environment("./a/dev.yaml"), COMMIT, files, Yaml()).origin == "a/dev.yaml"


@pytest.mark.parametrize("text", ["", "# nothing\n", "null", "---\n"])
def test_an_empty_file_is_an_empty_object(text: str) -> None:
    assert read("x.yaml", Files().put("x.yaml", text)) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", "x.yaml:1:1: the arguments are a list"),
        ("word", "x.yaml:1:1: the arguments are a single value"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: given more than once: 'a'"),
        ("a: {", "x.yaml:"),
    ],
)
def test_arguments_that_are_no_object_are_refused(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        read("x.yaml", Files().put("x.yaml", text))
    assert caught.value.reason is Reason.ARGUMENTS_INVALID
    assert expected in str(caught.value)


def test_a_file_of_arguments_that_is_not_there_is_told_with_its_environment() -> None:
    with pytest.raises(UserError) as caught:
        read("nope.yaml", Files())
    assert caught.value.reason is Reason.PATH_REFUSED
    assert str(caught.value).startswith("gitopsd.yaml:1:16: args of dev: 'nope.yaml' is no file")
