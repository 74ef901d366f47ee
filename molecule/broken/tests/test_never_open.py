"""However configuration, records, disk and environment are broken: no server is ever open.

Each way is taken with no server running; then the launcher is run as any session keeper may run it, and the node is
watched until it has ended, or a private server answers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from cluster import Laptop, node_root, node_write
from patience import seconds

#: What a person may have left in ~/.jupyter: a server for everybody.
OPEN = """
c = get_config()
c.ServerApp.ip = '0.0.0.0'
c.ServerApp.port = 8765
c.ServerApp.sock = ''
c.ServerApp.certfile = ''
c.ServerApp.keyfile = ''
c.ServerApp.token = ''
c.ServerApp.password = ''
c.ServerApp.allow_remote_access = True
c.ServerApp.allow_unauthenticated_access = True
c.ServerApp.disable_check_xsrf = True
c.ServerApp.identity_provider_class = 'jupyter_server.auth.identity.IdentityProvider'
c.IdentityProvider.token = ''
c.PasswordIdentityProvider.password_required = False
c.PasswordIdentityProvider.hashed_password = ''
"""
EVERYWHERE = "".join(
    f"cat >~/.jupyter/jupyter_{name}config.py <<'END'\n{OPEN}END\n" for name in ("", "server_", "lab_", "notebook_")
)
HASHED = EVERYWHERE.replace("hashed_password = ''", "hashed_password = 'argon2:of-somebody'")
CONFIG = "jupyter_server_config.py"

#: Ways to break it: what is done in our folder on the node, and what the launcher says then; nothing, where a private
#: server is started all the same.
WAYS = {
    "a configuration that raises": (f"sed -i '5i raise OSError(28)' {CONFIG}", "is not whole, or cannot be read"),
    "a configuration that raises at its end": (f"echo 'raise OSError(28)' >>{CONFIG}", ""),
    "a configuration that is no Python": (f"echo 'c = (' >{CONFIG}", "is not whole, or cannot be read"),
    "an empty configuration": (f": >{CONFIG}", "is not whole, or cannot be read"),
    "no configuration": (f"rm {CONFIG}", "is not whole, or cannot be read"),
    "a configuration that is cut short": (f"sed -i '$d' {CONFIG}", "is not whole, or cannot be read"),
    "a configuration that cannot be read": (f"chmod 000 {CONFIG}", "is not whole, or cannot be read"),
    "a folder in its place": (f"rm {CONFIG}; mkdir {CONFIG}", "is not whole, or cannot be read"),
    "an emptied password": ("echo >password_hash", "password_hash is missing, or not whole"),
    "no password": ("rm password_hash", "password_hash is missing, or not whole"),
    "half a password": ("truncate -s 60 password_hash", "password_hash is missing, or not whole"),
    "a password that cannot be read": ("chmod 000 password_hash", "password_hash is missing, or not whole"),
    "a pipe for a password": ("rm password_hash; mkfifo password_hash", "password_hash is missing, or not whole"),
    "no folder for records": ("rm -r run", "run/lock"),
    "records that cannot be written": ("rm -f run/lock; chmod 500 run", "run/lock"),
    "an owner's key that cannot be written": ("rm -f run/owner; mkdir -p run/owner/x", "run cannot be written"),
    "no key": ("rm server.key", "server.key is missing"),
    "another key": ("openssl genpkey -algorithm RSA -out server.key 2>&1", "do not serve"),
    "a certificate that is cut short": ("truncate -s 300 server.crt", "do not serve"),
    "no provider": ("rm jupyter_cluster_identity.py", "jupyter_cluster_identity"),
    "a provider that raises": ("echo 'raise ValueError(1)' >jupyter_cluster_identity.py", ""),
    "an old ~/.jupyter that opens it": (EVERYWHERE, ""),
    "an old ~/.jupyter and no password": (f"{HASHED}\necho >password_hash", "password_hash is missing, or not whole"),
    "an old ~/.jupyter and a configuration that raises": (
        f"{HASHED}\nsed -i '5i raise OSError(28)' {CONFIG}", "is not whole, or cannot be read",
    ),
    "another provider in the environment": (
        "mkdir ~/evil; echo 'from jupyter_server.auth.identity import IdentityProvider as Owner' "
        ">~/evil/jupyter_cluster_identity.py; echo 'export PYTHONPATH=~/evil PYTHONSAFEPATH=1 JUPYTER_TOKEN=known "
        "JUPYTER_PORT=8765 JUPYTER_PREFER_ENV_PATH=1' >>~/.profile", "",
    ),
    "a foreign folder for sockets": ("rm -rf /tmp/jupyter-cluster-$(id -u); mkdir /tmp/jupyter-cluster-$(id -u); "
        "touch /tmp/jupyter-cluster-$(id -u)/theirs", "is not ours, or not private"),
    "a link for the folder for sockets": ("rm -rf /tmp/jupyter-cluster-$(id -u); ln -s ~ /tmp/jupyter-cluster-$(id -u)",
        "is not ours"),
}  # fmt: skip


@pytest.fixture
def home(laptop: Laptop, stopped: None) -> Iterator[str]:
    """A home whose every file comes back as it was."""
    account = shlex.quote(laptop.account)
    node_root(f"rm -rf /home/.kept && cp -a /home/{account} /home/.kept && su {account} -c 'mkdir -p ~/.jupyter'")
    yield f"/home/{account}"
    node_root(f"pkill -KILL -u {account} -f jupyter_server_config.py || true")
    node_root(
        f"cd /home/{account} && find . -mindepth 1 -delete && cp -a /home/.kept/. . && rm -rf /home/.kept"
        f" /tmp/jupyter-cluster-$(id -u {account})"
    )


#: What root sees on the node while the launcher runs: ports that something of the account's listens on, and what the
#: socket answers to somebody without the password, by https and by http; the last line of each is of the end.
WATCH = """
cd /; uid=$(id -u {account}) folder={folder}
rm -f $folder/run/jupyter.sock /tmp/report
su {account} -c "cd $folder && {harm}" >/dev/null 2>&1
setsid su - {account} -c "timeout {life} sh $folder/launch this-start /tmp/report" </dev/null >/dev/null 2>&1 &
look() {{
  ss -Hltne | awk -v uid="uid:$uid" '{{ for (i = 5; i <= NF; i++) if ($i == uid) print "port " $4 }}'
  for scheme in https http; do
    code=$(curl -sk --noproxy '*' --max-time 5 -o /dev/null -w '%{{http_code}}' --unix-socket $folder/run/jupyter.sock \
      $scheme://localhost/api/contents)
    echo "$scheme $code"
  done
}}
for _ in $(seq {looks}); do
  sleep 0.3
  seen=$(look)
  echo "$seen"
  case $seen in *"https 000"*) ;; *) break ;; esac
  pgrep -u $uid -f '[l]aunch this-start|[s]erve.py this-start' >/dev/null || break
done
look
cat /tmp/report
pkill -TERM -u $uid -f '[s]erve.py this-start'
for _ in $(seq 100); do pgrep -u $uid -f '[s]erve.py this-start' >/dev/null || break; sleep 0.1; done
rm -f /tmp/report
"""


#: What an old ~/.jupyter may have for a part of its pages, which Jupyter shows everybody.
SHOWN = """
import os
for name in ("extra_static_paths", "extra_template_paths"):
    setattr(c.ServerApp, name, [os.path.expanduser("~")])
for app in (c.LabApp, c.LabServerApp):
    for name in ("extra_labextensions_path", "labextensions_path", "static_paths"):
        setattr(app, name, [os.path.expanduser("~")])
    app.themes_dir = os.path.expanduser("~")
"""


def test_files_of_the_home_are_for_who_has_logged_in_alone(laptop: Laptop, home: str) -> None:
    """However a configuration names its folders."""
    laptop.ssh(f"echo mine >notes.txt; printf %s {shlex.quote(SHOWN)} | tee .jupyter/jupyter_{{server,lab}}_config.py")
    assert laptop.playbook("site.yml").returncode == 0
    stranger, owner = laptop.browser(), laptop.browser()
    assert owner.login(laptop.password)
    paths = ("/static/", "/lab/extensions/", "/lab/api/themes/", "/static/lab/")
    assert {stranger.request(f"{path}notes.txt")[0] for path in paths} <= {403, 404}
    for path in ("/static/", "/lab/extensions/"):
        assert owner.request(f"{path}notes.txt")[:2] == (200, "mine\n")
    # What the login page needs.
    assert stranger.request("/static/favicon.ico")[0] == 200


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_open(laptop: Laptop, home: str, way: str) -> None:
    harm, said = WAYS[way]
    node_write("/tmp/harm", harm)
    seen = node_root(
        WATCH.format(account=laptop.account, folder=laptop.node_folder, harm=". /tmp/harm", life=seconds(50), looks=100)
    )
    assert "port " not in seen, "a port that nobody asked for"
    assert set(re.findall(r"^https (\d+)$", seen, re.M)) <= {"000", "403"}
    assert set(re.findall(r"^http (\d+)$", seen, re.M)) == {"000"}
    if said:
        assert re.search(rf"Not started: .*{re.escape(said)}", seen), seen
        assert "403" not in re.findall(r"^https (\d+)$", seen, re.M)
