"""What is said of the disk of a home. Disks of a network are not to be had here: these are lines of such nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from node import home

TABLE = r"""
22 1 0:21 / / rw,relatime - ext4 /dev/vda1 rw
30 22 0:30 / /home rw,relatime shared:1 - nfs4 filer:/home rw,vers=4.2,sec=sys,hard
31 22 0:31 / /home/of\040a\040group rw - lustre 10.0.0.1@o2ib:/work rw,flock
32 22 0:32 / /afs rw - afs AFS rw
33 22 0:33 / /secure rw - nfs4 filer:/secure rw,vers=4.2,sec=krb5p
34 22 0:34 / /fuse rw - fuse.sshfs me@filer:/ rw
35 22 0:35 / /hom rw - xfs /dev/sda rw
36 30 0:36 / /home/jane rw - nfs4 filer:/jane rw,sec=sys
37 36 0:37 / /home/jane rw - beegfs beegfs_nodev rw
"""
HISTORY, TICKET = "IPython keeps its history in SQLite there", "It needs a ticket of Kerberos"


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/root", "ext4", []),
        ("/homes/joe", "ext4", []),
        ("/hom/joe", "xfs", []),
        ("/home/joe", "nfs4", [HISTORY]),
        ("/home/of a group/joe", "lustre", [HISTORY]),
        # Of two at one place, the last one is seen.
        ("/home/jane/own", "beegfs", [HISTORY]),
        ("/afs/cell/joe", "afs", [HISTORY, TICKET]),
        ("/secure/joe", "nfs4", [HISTORY, TICKET]),
        ("/fuse/joe", "fuse.sshfs", [HISTORY]),
    ],
)
def test_a_disk_is_known_with_its_traps(path: str, kind: str, said: list[str]) -> None:
    found, options = home.mount(path, TABLE.strip())
    assert found == kind
    assert home.shared(kind) == (HISTORY in said)
    assert [line.startswith(begin) for line, begin in zip(home.traps(kind, options), said, strict=True)] == [
        True
    ] * len(said)


@pytest.mark.parametrize(("mode", "says"), [(0o755, ""), (0o711, ""), (0o770, "0770"), (0o757, "0757")])
def test_a_home_that_others_write_in_is_known(tmp_path: Path, mode: int, says: str) -> None:
    tmp_path.chmod(mode)
    assert home.opens(str(tmp_path)) == says
    tmp_path.chmod(0o700)
