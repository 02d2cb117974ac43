"""The scenes of the demo: each does one thing to the real product and verifies what came of it by facts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitopsd.cli.demo_stage import LARGE, SMALL, Stage
from gitopsd.cli.demo_told import told
from gitopsd.cli.demo_watch import Devnet, Process, look, parent, processes_of, require, serving, until
from gitopsd.model.run import Run, Trigger, Verdict
from gitopsd.report.render import render
from gitopsd.web.commands import DestroyRequest

ARGUMENTS = "args/devnet-small.yaml"
DEPLOY, STEP, HEAL = 45.0, 30.0, 20.0
"""Seconds within which a first deployment, a later commit and a healing must be through on a busy machine."""


@dataclass(frozen=True, slots=True)
class Scene:
    """``act`` does it and gives the facts that it verified; it raises Unmet when one does not hold."""

    title: str
    act: Callable[[Stage], tuple[str, ...]]


# --- what scenes have in common ---------------------------------------------------------------------------


def _touched(before: Devnet, after: Devnet) -> dict[str, str]:
    """What happened to each service whose process is another one now."""
    old, new = before.processes, after.processes
    gone = {name: "removed" for name in old.keys() - new.keys()}
    fresh = {name: "added" for name in new.keys() - old.keys()}
    return gone | fresh | {name: "restarted" for name in old.keys() & new.keys() if old[name] != new[name]}


def _touches_only(before: Devnet, after: Devnet, expected: Mapping[str, str]) -> None:
    touched = _touched(before, after)
    require(touched == dict(expected), f"exactly {_listed(expected)} is touched", _listed(touched))


def _same_chain(before: Devnet, after: Devnet) -> None:
    """The chain went on: its genesis was not made again, its height only rose, nobody was paid twice."""
    same = (after.chain_id, after.genesis) == (before.chain_id, before.genesis)
    require(same, "it is the same chain", before.chain_id, after.chain_id)
    require(after.height >= before.height, "the chain keeps its height", before.height, after.height)
    require(after.deposits == before.deposits, "every account was funded once", *after.deposits)


def _listed(items: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {what}" for name, what in sorted(items.items())) or "nothing"


def _pids(processes: Mapping[str, Process]) -> str:
    return ", ".join(f"{name} {item.pid}" for name, item in sorted(processes.items()))


def _agreed(stage: Stage, environment: str, *, above: int) -> Devnet:
    """The devnet once all its nodes agree on a height above one."""

    def check() -> Devnet | None:
        devnet = stage.look(environment)
        view = devnet.explorer.answer
        return devnet if view["agree"] and view["agreed_height"] > above else None

    return until(check, f"the nodes of {environment} agree on a height above {above}", seconds=STEP)


# --- scenes -----------------------------------------------------------------------------------------------


def deploy(stage: Stage) -> tuple[str, ...]:
    commit = stage.commit("Two devnets")
    for environment in (SMALL, LARGE):
        stage.expect(environment, commit, "success", seconds=DEPLOY)
    small, large = _agreed(stage, SMALL, above=2), _agreed(stage, LARGE, above=2)
    require(len(small.nodes) == 3 and len(large.nodes) == 5, "3 and 5 nodes run", *small.nodes, *large.nodes)
    require(small.chain_id != large.chain_id, "each devnet has a genesis of its own", small.chain_id)
    require([item[:2] for item in small.deposits] == [("alice", 1000)], "alice was funded", *small.deposits)
    return tuple(
        f"{name}: {len(devnet.nodes)} nodes agree on chain {devnet.chain_id} at height {devnet.height}, "
        f"page http://{devnet.explorer.address}:8080/"
        for name, devnet in ((SMALL, small), (LARGE, large))
    )


def add_node(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    commit = stage.commit("One node more", (ARGUMENTS, "nodes: 3", "nodes: 4"))
    stage.expect(SMALL, commit, "success", seconds=STEP)
    stage.expect(LARGE, commit, "success", seconds=STEP)
    after = _agreed(stage, SMALL, above=small.height)
    _touches_only(small, after, {"node-4": "added", "explorer": "restarted"})
    _same_chain(small, after)
    _touches_only(large, stage.look(LARGE), {})
    fresh = after.nodes["node-4"].answer
    return (
        f"touched: {_listed(_touched(small, after))}; node-4 caught up with {fresh['height']} blocks",
        f"height {small.height} → {after.height}, same processes: node-1 to node-3 and all of {LARGE}",
    )


def slow_down(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    commit = stage.commit("Slower blocks", (ARGUMENTS, 'block_time: "0.5"', 'block_time: "0.8"'))
    stage.expect(SMALL, commit, "success", seconds=STEP)
    stage.expect(LARGE, commit, "success", seconds=STEP)
    after = _agreed(stage, SMALL, above=small.height)
    _touches_only(small, after, dict.fromkeys(small.nodes, "restarted"))
    _same_chain(small, after)
    resumed = {name: node.answer["resumed_at"] for name, node in after.nodes.items()}
    require(min(resumed.values()) >= small.height - 2, "every node went on from its stored height", resumed)
    require({node.answer["block_time"] for node in after.nodes.values()} == {0.8}, "blocks take 0.8 s", resumed)
    _touches_only(large, stage.look(LARGE), {})
    return (
        f"touched: {_listed(_touched(small, after))}; the explorer and {LARGE} kept their processes",
        f"genesis not made again, height {small.height} → {after.height}, nodes went on at {sorted(resumed.values())}",
    )


def break_it(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    broken = (ARGUMENTS, "ready_timeout: 20s", "ready_timeout: 3s\nprotocol: 2")
    commit = stage.commit("A protocol that no node speaks", broken)
    status = stage.expect(SMALL, commit, "failure", seconds=STEP)
    require("rolled back" in status.description, "the commit is marked as rolled back", status.description)
    run = stage.run_of(SMALL, commit)
    require(run.verdict is Verdict.ROLLED_BACK, "the run was rolled back", run.verdict)
    after = _agreed(stage, SMALL, above=small.height)
    _touches_only(small, after, {"node-1": "restarted"})
    _same_chain(small, after)
    require(after.nodes["node-1"].answer["ready"], "node-1 is ready again", after.nodes["node-1"].answer["trouble"])
    asked, runs = ({member.name: member.arguments for member in devnet.members} for devnet in (small, after))
    require(asked == runs, "every process has the arguments that it had", asked, runs)
    stage.expect(LARGE, commit, "success", seconds=STEP)
    _touches_only(large, stage.look(LARGE), {})
    return (
        f"commit status: {status.description}",
        f"live equals before: node-1 went there and back, the others never stopped; height {after.height}",
    )


def revert(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    commit = stage.revert("A protocol that no node speaks", "One node more")
    stage.expect(SMALL, commit, "success", seconds=STEP)
    stage.expect(LARGE, commit, "success", seconds=STEP)
    after = _agreed(stage, SMALL, above=small.height)
    _touches_only(small, after, {"node-4": "removed", "explorer": "restarted"})
    _same_chain(small, after)
    require(not serving(small.nodes["node-4"].address), "node-4 has no process any more", small.nodes["node-4"].address)
    _touches_only(large, stage.look(LARGE), {})
    return (f"touched: {_listed(_touched(small, after))}; height {small.height} → {after.height}",)


def heal(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    victim = small.nodes["node-2"].process
    shim = parent(victim)
    require(shim in processes_of(stage.daemon.state), "node-2 has a supervisor of this demo", shim)
    assert shim is not None
    os.kill(shim.pid, signal.SIGKILL)  # its service dies with it, and nobody but the daemon brings it back
    stage.tell(f"  kill -9 {shim.pid}: node-2 ({victim.pid}) and its supervisor")
    healing = until(lambda: _healing(stage), "a run heals node-2", seconds=HEAL)
    after = _agreed(stage, SMALL, above=small.height)
    _touches_only(small, after, {"node-2": "restarted"})
    _same_chain(small, after)
    resumed = after.nodes["node-2"].answer["resumed_at"]
    require(resumed > 0, "node-2 went on from its stored height", resumed)
    _touches_only(large, stage.look(LARGE), {})
    now = after.nodes["node-2"].process.pid
    return (f"{render(healing).line}; it runs as {now} and went on at height {resumed}",)


def _healing(stage: Stage) -> Run | None:
    """The run that brought node-2 back because it was missed."""
    return next(
        (
            run
            for run in stage.history(SMALL)
            if run.trigger is Trigger.DRIFT and run.verdict is Verdict.SUCCEEDED and run.applied is not None
            if any(item.service == "node-2" for item in run.applied.diff.drift)
        ),
        None,
    )


def crash(stage: Stage) -> tuple[str, ...]:
    small, large = stage.look(SMALL), stage.look(LARGE)
    killed = stage.daemon.kill()
    addresses = {member.name: member.address for member in small.members}

    def grown() -> Devnet | None:
        devnet = look(addresses)
        return devnet if devnet.height > small.height + 1 else None

    alone = until(grown, "blocks are made while there is no daemon", seconds=STEP)
    _touches_only(small, alone, {})
    started = stage.daemon.start()
    commit = stage.commit("A word in the README", ("README.md", "Try a commit:", "Try a commit, after a crash too:"))
    for environment in (SMALL, LARGE):
        stage.expect(environment, commit, "success", seconds=STEP)
    for environment, before in ((SMALL, small), (LARGE, large)):
        after = _agreed(stage, environment, above=before.height)
        _touches_only(before, after, {})
        _same_chain(before, after)
    return (
        f"daemon {killed} killed with SIGKILL; blocks {small.height} to {alone.height} were made without it",
        f"daemon {started} adopted everything and went on with the next commit",
        f"same processes: {_pids(small.processes)}; no account was funded twice",
    )


def end(stage: Stage) -> tuple[str, ...]:
    seen = [item for name in (SMALL, LARGE) for item in stage.look(name).processes.values()]
    for environment in (SMALL, LARGE):
        stage.daemon.ask(DestroyRequest(environment=environment))
    code = stage.daemon.stop()
    require(code == 0, "the daemon ends with status 0", code)
    until(lambda: not processes_of(stage.daemon.state), "no process is left", seconds=10)
    return (f"{len(seen)} services ended, no process is left",)


SCENES = (
    Scene("a first commit deploys two devnets", deploy),
    Scene("one argument adds a node and touches only what it must", add_node),
    Scene("another argument restarts the nodes; the chain keeps its height", slow_down),
    Scene("a broken commit is rolled back", break_it),
    Scene("git revert simply works", revert),
    Scene("what another hand broke is healed", heal),
    Scene("the daemon is killed and started again; nothing restarts", crash),
    Scene("what the forge and the chat received", told),
)
LAST = Scene("the end: everything is destroyed, no process is left", end)
