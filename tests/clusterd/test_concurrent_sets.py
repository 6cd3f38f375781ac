"""200 ``clusterd set`` at a time on different objects of one cluster, while one of three members of etcd is killed.

Eight processes run most of them, one after the other in each; the last ones are processes of their own.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clusterd.configuration import commit, read, records
from clusterd.document import from_data
from clusterd.history import broken_links
from clusterd.keys import Keys
from clusterd.store.etcd import EtcdStore
from tests.clusterd.command_line import CommandLine, Ended
from tests.clusterd.commits import ALICE
from tests.clusterd.setter import assignment, told
from tests.store.etcd_server import Member

COMMANDS = 200
SETTERS = 8
ALONE = 8  # of the commands, as processes of their own
CONFLICT, STORE = 3, 4
ROOT = Path(__file__).parents[2]
KEYS = Keys("many")


def served(numbers: range) -> dict[str, Any]:
    """Return a document with a virtual server for each number."""
    virtual = {"interface": "eth0", "port": 80}
    return {"virtuals": {f"v{number}": {"address": f"10.0.0.{number}/24", **virtual} for number in numbers}}


def run_setters(clusterd: CommandLine, numbers: list[int]) -> list[dict[str, Any]]:
    """Run all commands, those of the last numbers as processes of their own, and return how each one ended."""
    many, alone = numbers[:-ALONE], numbers[-ALONE:]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT}
    command = [sys.executable, "-m", "tests.clusterd.setter", clusterd.endpoint, clusterd.cluster]
    setters = [
        subprocess.Popen([*command, *map(str, many[first::SETTERS])], env=clusterd.environment, text=True, **pipes)
        for first in range(SETTERS)
    ]
    singles = [clusterd.start("set", assignment(number), "--yes", "--json", **pipes) for number in alone]
    answers = []
    for process in setters:
        out, err = process.communicate()
        assert process.returncode == 0, err
        answers += [json.loads(line) for line in out.splitlines()]
    for number, single in zip(alone, singles, strict=True):
        out, err = single.communicate()
        answers.append(told(number, Ended(single.returncode, out, err)))
    return answers


async def kill_in_the_middle(store: EtcdStore, member: Member) -> None:
    """Kill a member once some of the commits are done."""
    while len((await store.snapshot(KEYS.history_prefix)).entries) < 20:
        await asyncio.sleep(0.05)
    member.kill()


@pytest.mark.timeout(600)
@pytest.mark.etcd
async def test_of_200_concurrent_sets_each_accepted_one_is_in_the_history_once_and_no_update_is_lost(
    members: tuple[Member, ...], tmp_path: Path
) -> None:
    numbers = list(range(1, COMMANDS + 1))
    endpoints = [member.endpoint for member in members]
    store = EtcdStore(endpoints)
    try:
        await commit(store, KEYS, None, from_data(served(range(1, COMMANDS + 1))), ALICE)
        clusterd = CommandLine(",".join(endpoints), KEYS.cluster, tmp_path)
        running = asyncio.create_task(asyncio.to_thread(run_setters, clusterd, numbers))
        await kill_in_the_middle(store, members[0])
        assert not running.done()
        answers = await running
        committed = await read(store, KEYS)
        past = await records(store, KEYS)
    finally:
        await store.close()
    assert committed is not None
    assert broken_links(past, committed.head) == ()  # no gap, no record twice
    assert sorted(answer["number"] for answer in answers) == numbers
    print(f"\n{dict(Counter(answer['code'] for answer in answers))}, {len(past)} commits")

    accepted = {answer["id"]: answer["number"] for answer in answers if answer["code"] == 0}
    refused = {answer["number"]: answer for answer in answers if answer["code"] != 0}
    assert {answer["code"] for answer in refused.values()} <= {CONFLICT, STORE}, refused
    assert len(accepted) + len(refused) == COMMANDS
    assert len(accepted) > 20

    by_id = {one.id: [name.removeprefix("virtuals/v") for name in one.changes] for one in past[1:]}
    assert len(by_id) == len(past) - 1
    for commit_id, number in accepted.items():
        assert by_id.pop(commit_id) == [str(number)]
    for (name,) in by_id.values():  # the answer was lost, and the command said so
        assert refused[int(name)]["code"] == STORE, refused[int(name)]

    done = {*accepted.values(), *(int(name) for (name,) in by_id.values())}
    ports = {number: 1000 + number if number in done else 80 for number in numbers}
    assert {number: committed.cluster.virtuals[f"v{number}"].port for number in numbers} == ports
