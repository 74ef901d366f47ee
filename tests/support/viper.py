"""examples/clusters/viper.yml, as the test cluster has it: two gateways by name, one node, one-time passwords."""

from __future__ import annotations

import re
from typing import Any

from cluster import PROJECT
from laptop_container import Person, fingerprint

GATE1, GATE2 = "gate1.mpcdf.mpg.de", "gate2.mpcdf.mpg.de"
VIPER = "examples/clusters/viper.yml"
#: What the test cluster has instead of viper's.
STAND_IN: dict[str, Any] = {
    "cluster_modules": ["anaconda/3"],
    "cluster_host_keys": {GATE1: [fingerprint(GATE1)], GATE2: [fingerprint(GATE2)]},
}


def readme_lines() -> list[str]:
    """The commands of README.md for a real cluster, without their remarks."""
    block = re.search(r"## Use it\n.*?```sh\n(.*?)```", (PROJECT / "README.md").read_text(), re.S)
    assert block
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


#: What sshd has in its log, as (succeeded, failed): the one login that each hop needs.
ONE_EACH = {"gate": (1, 0), "hydra08i": (1, 0)}
NONE = {"gate": (0, 0), "hydra08i": (0, 0)}


def words(printed: str) -> str:
    """Join what Ansible has folded."""
    return " ".join(printed.split())


def log_in_first(person: Person) -> str:
    """Return what a run says that has no open connection."""
    return (
        f"Log in first, then run this again: ssh -fN {person.node} (It asks for {GATE1}, then for {person.node}, and "
        'stays open for 8h after its last use. Where it ends in "Permission denied" or "Connection closed", the '
        "password was wrong, or the one-time code was wrong or used before: wait for the next one. If "
        f"{GATE1} is down: -e my_gateway={GATE2})"
    )
