"""What the documents say is what there is: commands, options, files."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FARM = str(Path(sys.executable).with_name("farm"))


def help_of(*command):
    return subprocess.run([FARM, *command, "--help"], capture_output=True, text=True, check=True).stdout


COMMANDS = re.findall(r"^  ([a-z]+)  ", help_of().split("Commands:")[1], re.MULTILINE)


def test_every_command_is_in_the_readme():
    assert len(COMMANDS) >= 10
    table = README.split("## Commands")[1].split("\n## ")[0]
    for command in COMMANDS:
        assert f"`farm {command}" in table, command
    named = set(re.findall(r"(?:`|bin/|^ +)farm ([a-z]+)", README, re.MULTILINE))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command):
    assert f"Example: farm {command}" in help_of(command)


def test_every_option_in_the_readme_exists():
    told = {option for command in COMMANDS for option in re.findall(r"--[a-z][a-z-]*", help_of(command))}
    for option in set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", README)):
        assert option in told, option


def test_the_tree_names_every_file_and_no_other():
    tree = README.split("## The tree")[1]
    named = set(re.findall(r"^ +([a-z_]+\.py) ", tree, re.MULTILINE))
    there = {path.name for path in (ROOT / "farm").rglob("*.py") if path.name != "__init__.py"}
    assert named == there


def test_no_pin_names_an_address():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+!]+", line), line


BENCHES = [
    "first_run",
    "listen",
    "reading",
    "encoding",
    "keys",
    "training",
    "article",
    "selection",
    "selection_runs",
    "copies",
    "scheduling",
    "faults",
    "shipping",
    "page",
    "site",
    "review",
]


@pytest.mark.parametrize("bench", BENCHES)
def test_the_numbers_in_the_readme_are_those_of_the_bench(bench, capsys, monkeypatch):
    """The table in the README is what the bench prints of its JSON, to the letter."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    facts = json.loads((ROOT / "bench" / f"{bench}.json").read_text())
    spec = importlib.util.spec_from_file_location(f"bench_{bench}", ROOT / "bench" / f"{bench}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.print_table(facts)
    assert capsys.readouterr().out in README.split("## Measured")[1].split("\n## ")[0]
