"""Host keys: pinned in the inventory, or left to the person's own ssh policy, in the one foreground command."""

from __future__ import annotations

import pytest
from laptop_container import Person, fingerprint
from viper import GATE1, GATE2, STAND_IN, words

STRANGER = "ED25519 SHA256:mkNYGVYvBOMAUSZ+KBOcEKRY1kFYy336cAH0MKelwLA"
VIPER_I = "viper-i.mpcdf.mpg.de"


def run(person: Person, **host_keys: str) -> str:
    """Run what does little, with these keys pinned to gate1 and the node, by a key that works unattended."""
    person.disconnect()
    pins = {"gateway": GATE1, "node": VIPER_I}
    chosen = {**STAND_IN, "cluster_host_keys": {pins[name]: [key] for name, key in host_keys.items()}}
    return words(person.site("playbooks/stop.yml", check=False, my_user=person.account, my_login="key", **chosen))


def test_pinned_keys_are_verified_on_first_contact(key: Person) -> None:
    key.run("mv ~/.ssh/known_hosts ~/.ssh/kept")
    shown = run(key, gateway=fingerprint(GATE1), node=fingerprint(VIPER_I))
    key.run("test ! -e ~/.ssh/known_hosts && mv ~/.ssh/kept ~/.ssh/known_hosts")
    assert "failed=0" in shown


@pytest.mark.parametrize(("pinned", "host"), [("gateway", GATE1), ("node", VIPER_I)])
def test_another_key_than_the_pinned_one_stops_everything(key: Person, pinned: str, host: str) -> None:
    """Also where known_hosts has it, and where new hosts are let in."""
    before = key.logins()
    right = {"gateway": fingerprint(GATE1), "node": fingerprint(VIPER_I)}
    shown = run(key, **(right | {pinned: STRANGER}))
    assert (
        f"{GATE1} or {VIPER_I} does not show the host key that the cluster's inventory file pins (cluster_host_keys). "
        "Either the cluster changed it, which its pages or its support confirm, or somebody stands in between: do not "
        f"log in before you know which. (ssh: {host} shows the host key ssh-ed25519 {fingerprint(host).split()[1]}, "
        "which is not in cluster_host_keys: do not log in before you know why.)"
    ) in shown
    status, terminal = key.types(f"ssh -o StrictHostKeyChecking=accept-new -fN {VIPER_I}")
    assert status == 255
    assert f"{host} shows the host key ssh-ed25519 {fingerprint(host).split()[1]}, which is not in " in terminal
    after = key.logins()
    assert after["hydra08i"] == before["hydra08i"]
    assert pinned == "node" or after == before


def test_a_pin_of_another_type_is_no_match(key: Person) -> None:
    """The gate has an ED25519 key alone."""
    assert f"{GATE1} or {VIPER_I} does not show the host key that " in run(key, gateway="ECDSA" + STRANGER[7:])


def test_the_keys_that_viper_publishes_are_not_the_test_cluster_s(key: Person) -> None:
    """examples/clusters/viper.yml as it is."""
    key.disconnect()
    shown = key.site("playbooks/stop.yml", check=False, my_user=key.account, my_login="key")
    assert f"{GATE1} or {VIPER_I} does not show the host key that the cluster's inventory file pins" in words(shown)


def test_passphrase_and_unknown_hosts_in_the_foreground(phrase: Person) -> None:
    """One command for what an account asks, whatever that is; then everything is unattended."""
    asked = [
        (r"authenticity of host 'gate.rzg.mpg.de.*\(yes/no", "yes"),
        ("Enter passphrase for key", "the key's own"),
        (r"authenticity of host 'hydra08i.rzg.mpg.de.*\(yes/no", "yes"),
        ("Enter passphrase for key", "the key's own"),
    ]
    shown = phrase.site("playbooks/stop.yml", check=False, my_user=phrase.account, my_login="prompt")
    assert f"Log in first, then run this again: ssh -fN {phrase.node} (" in words(shown)
    status, terminal = phrase.types(f"ssh -fN {phrase.node}", *asked)
    assert status == 0, terminal
    assert "failed=0" in phrase.site("playbooks/stop.yml", my_user=phrase.account, my_login="prompt")
    assert phrase.logins() == {"gate": (1, 0), "hydra08i": (1, 0)}


def test_a_login_that_asks_is_named(phrase: Person) -> None:
    """The same account, where nobody has said that it asks."""
    phrase.disconnect()
    shown = phrase.site("playbooks/stop.yml", check=False, my_user=phrase.account)
    assert (
        "The gateway gate.rzg.mpg.de does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and "
        "your key known there? Where a login asks you for something, set my_login: prompt there. See what this says: "
        f"ssh -fN {phrase.node} (ssh: "
    ) in words(shown)


def test_the_other_gateway(key: Person) -> None:
    """gate1 is down; the message names gate2, and one variable takes it."""
    key.write(".ssh/config", f"Host {GATE1}\n    Port 1\n".encode())
    shown = run(key)
    assert (
        f"The gateway {GATE1} cannot be reached. Check the network (a VPN?); the gateway may be down or rebooting: see "
        f"the cluster's status page, or take another gateway: -e my_gateway={GATE2}. (ssh: "
    ) in shown
    shown = key.site("playbooks/stop.yml", my_user=key.account, my_login="key", my_gateway=GATE2, **STAND_IN)
    assert "failed=0" in shown
    assert key.effective(VIPER_I)["proxyjump"] == [GATE2]
