"""What the person's own ssh_config says of these hosts, and of all, keeps counting beside ours."""

from __future__ import annotations

from laptop_container import Person, TokenPerson
from viper import GATE1, GATE2, ONE_EACH, STAND_IN, log_in_first, words


def test_own_proxy_and_own_connections_are_kept(own: Person) -> None:
    node = "viper-i.mpcdf.mpg.de"
    before = {host: own.effective(host) for host in (GATE1, GATE2, node, "elsewhere")}
    shown = own.site(my_login="key", **STAND_IN)
    assert "failed=0" in shown
    after = {host: own.effective(host) for host in (*before, "jupyter-viper")}
    kept = ("user", "port", "identityfile", "gssapiauthentication", "controlpath", "controlmaster", "controlpersist")
    for host in (GATE1, GATE2, node):
        for option in (*kept, "serveraliveinterval"):
            assert after[host][option] == before[host][option], (host, option)
    assert after[node]["proxycommand"] == [f"ssh -q -W %h:%p {GATE1}"]
    assert "proxyjump" not in after[node]
    assert after["elsewhere"] == before["elsewhere"]
    # The tunnel is the node under another name.
    for option in (*kept, "proxycommand"):
        assert after["jupyter-viper"][option] == after[node][option], option
    assert own.run("ls ~/.ssh | grep ^own-").split() == [f"own-own-hpc@{GATE1}", f"own-own-hpc@{node}"]
    assert own.run("ls ~/.jupyter-cluster/cm") == ""
    assert own.logins() == {"gate": (1, 0), "hydra08i": (1, 0)}


def test_own_connections_are_used_again(own: Person) -> None:
    assert "changed=0" in own.site(my_login="key", **STAND_IN)
    own.run("ssh -fN jupyter-viper </dev/null >/dev/null 2>&1")
    assert own.server_version()
    assert own.logins() == {"gate": (1, 0), "hydra08i": (1, 0)}
    own.site("playbooks/stop.yml", my_login="key", **STAND_IN)


def test_a_proxy_for_every_host_is_the_way_out(own: Person) -> None:
    """A company's, say: the gateway is reached by it, and the node by the gateway."""
    config = own.read(".ssh/config").decode()
    out = "Host *\n    ProxyCommand nc %h %p\n"
    own.write(".ssh/config", (config.splitlines()[0] + "\n" + out).encode())
    own.site("playbooks/stop.yml", check=False, my_user=own.account, my_login="key", **STAND_IN)
    assert own.effective(GATE1)["proxycommand"] == ["nc %h %p"]
    assert own.effective("viper-i.mpcdf.mpg.de")["proxyjump"] == [GATE1]
    assert "proxycommand" not in own.effective("viper-i.mpcdf.mpg.de")


def test_own_connections_named_by_the_way_to_the_host(hashed: TokenPerson) -> None:
    """Newer OpenSSH does that by %C: whoever goes there without the way would not find them."""
    assert log_in_first(hashed) in words(hashed.site(check=False, my_user=hashed.account, **STAND_IN))
    hashed.log_in(GATE1)
    assert "Works:    yes" in hashed.site("playbooks/doctor.yml", my_user=hashed.account, **STAND_IN)
    assert hashed.logins() == ONE_EACH
