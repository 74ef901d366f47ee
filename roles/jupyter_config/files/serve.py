"""Become the Jupyter server: python serve.py START REPORT DIGEST CLUSTER PLACE INTERFACE OPTION...

The launcher runs it, in the Python that has Jupyter. START names this start, REPORT is a file that gets one line where
nothing is started, DIGEST stands for the files that this server starts with, CLUSTER is the name of the cluster, PLACE
is `login`, or `compute` in a job of Slurm's, and INTERFACE is `lab` or `notebook`. The options are Jupyter's own; what
stands there beats every file.

It fails closed. Jupyter drops a configuration file that raises, and goes on with its defaults: so nothing is served
before what it has come to is compared with the options.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import importlib
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))
#: How every path of ours ends.
END = "/" + "/".join(HERE.split("/")[-2:])
LOCK = os.path.join(HERE, "run", "lock")
SESSION = os.path.join(HERE, "run", "session")
COOKIE_SECRET = os.path.join(HERE, "run", "jupyter_cookie_secret")
#: What a server in a job says of itself, for the login node, which has none of its processes.
SERVER = os.path.join(HERE, "run", "server")
LOG = os.path.join(HERE, "jupyter.log")
STARTED = int(time.time())
START, REPORT, DIGEST, CLUSTER, PLACE, INTERFACE, *OPTIONS = sys.argv[1:]
#: One server in the folder, and one in the cluster, whose nodes may share a home.
LOCKS = [LOCK, os.path.join(os.path.dirname(HERE), f"{CLUSTER}.lock")]
#: What marks the private place on the node as ours.
MARK = ".jupyter-cluster"
#: How often what is in the place is touched, in seconds: those who tidy up take away what is days old.
TOUCH = 3600.0
#: How often it is looked whether that is there, and the server's own socket, in seconds.
LOOK = 5.0


def stop(why: str) -> NoReturn:
    """Say why nothing is started, and end."""
    line = f"Not started: {why}"
    print(line, flush=True)
    # Who waited for it may have gone, and taken it away.
    with contextlib.suppress(OSError), open(REPORT, "r+") as report:
        report.seek(0, os.SEEK_END)
        report.write(line + "\n")
    raise SystemExit(1)


def option(name: str) -> str:
    """Return the value of one of Jupyter's options, as it stands on the command line."""
    begin = f"--{name}="
    return next((given[len(begin) :] for given in OPTIONS if given.startswith(begin)), "")


# One start at a time, in a home that several nodes may share.


def process(pid: int) -> str:
    """Name a process for good, whatever becomes of its number: node, boot, number, and the tick of its start."""
    with open("/proc/sys/kernel/random/boot_id") as boot, open(f"/proc/{pid}/stat") as status:
        return f"{os.uname().nodename} {boot.read().strip()} {pid} {status.read().rpartition(')')[2].split()[19]}"


def holder(path: str, held: str) -> int:
    """Return the number of the process that has a lock, or 0 where it has ended, or where none is named."""
    words = held.split()
    if len(words) != 4 or not words[2].isdigit():
        return 0
    if words[0] != os.uname().nodename:
        stop(f"{path} is held on {words[0]}, where this node cannot look. If nothing runs there, delete that file.")
    try:
        return int(words[2]) if process(int(words[2])) == held else 0
    except OSError:
        return 0


def says(path: str, size: int = 1000) -> str:
    """Return what stands in a lock or record; an empty string where there is none, or something that is no file."""
    try:
        # A pipe would not end, and what is no file is nobody's lock.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), errors="replace") as lock:
            return lock.read(size) if stat.S_ISREG(os.fstat(lock.fileno()).st_mode) else ""
    except FileNotFoundError:
        return ""


def take_lock(path: str) -> None:
    """Take a lock, or end where a process has it. Its content comes with it, by a link."""
    mine = f"{path}.{os.getpid()}"
    with open(mine, "w") as file:
        file.write(process(os.getpid()))
    try:
        for _ in range(20):
            with contextlib.suppress(FileExistsError):
                os.link(mine, path)
            # What NFS says of a link may be wrong.
            if os.stat(mine).st_nlink == 2:
                return sweep(path)
            held = says(path)
            if pid := holder(path, held):
                stop(f"The server runs already, as process {pid}.")
            aside = f"{mine}.old"
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, aside)
                if says(aside) != held:
                    # Another start has taken it in between.
                    os.link(aside, path)
                os.unlink(aside)
    finally:
        os.unlink(mine)
    stop(f"{path} cannot be taken.")


def others() -> list[str]:
    """Return the processes of this user that serve our configuration, or are about to, besides this one."""
    found = []
    # Whatever led to the home when another was started may have another name by now.
    ours = re.compile(rb"(?s)\0--config=/[^\0]*" + re.escape(os.fsencode(END)) + rb"/jupyter_server_config\.py\0")
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(name, "rb") as line:
            if os.stat(name).st_uid == os.getuid() and ours.search(line.read()):
                found.append(name.split("/")[2])
    return [pid for pid in found if pid != str(os.getpid())]


def somebody_listens() -> bool:
    """Tell whether somebody listens already where this server shall."""
    path = option("ServerApp.sock")
    try:
        with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as call:
            call.settimeout(1)
            call.connect(path or ("127.0.0.1", int(option("ServerApp.port"))))
    except OSError:
        return False
    return True


def require_alone() -> None:
    """Require that no server runs, also where the lock has gone.

    One that runs has begun to listen; another start that loses goes by itself, on a busy node after a while.
    """
    for _ in range(600):
        there = others()
        if not there:
            return
        if somebody_listens():
            break
        time.sleep(0.1)
    stop(f"The server runs already, as process {there[0]}.")


def sweep(path: str) -> None:
    """Take away what starts that were interrupted have left beside a lock."""
    for name in glob.glob(f"{glob.escape(path)}.*"):
        pid = name[len(path) + 1 :].partition(".")[0]
        with contextlib.suppress(OSError):
            if says(name).startswith(f"{os.uname().nodename} ") and not os.path.isdir(f"/proc/{pid}"):
                os.unlink(name)


def give_lock_back(path: str) -> None:
    """Take a lock away, if it is ours still."""
    with contextlib.suppress(OSError):
        if says(path) == process(os.getpid()):
            os.unlink(path)


def what_is_told() -> dict[str, Any]:
    """Return where a server in a job is, and which."""
    mine = process(os.getpid())
    return {
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "name": " ".join(mine.split()[2:]),
        "lock": mine,
        "started": STARTED,
        "socket": option("ServerApp.sock"),
        "python": sys.executable,
        "library_path": os.environ.get("LD_LIBRARY_PATH", ""),
        "digest": DIGEST,
    }


def tell_login_node() -> None:
    """Write that down, for as long as it runs."""
    with open(os.open(f"{SERVER}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(what_is_told()) + "\n")
    os.replace(f"{SERVER}.new", SERVER)


def is_told() -> bool:
    """Tell whether that is written down, whole, or another job has written its own."""
    try:
        found = json.loads(says(SERVER, 10**5))
        return bool(found == what_is_told() or int(found["job"]) != int(os.environ["SLURM_JOB_ID"]))
    except (OSError, ValueError, TypeError, LookupError):
        return False


def tell_again() -> None:
    """Write that down again where it was taken away or damaged, and the locks: else a busy job would look like none."""
    with contextlib.suppress(OSError):
        if not os.path.isdir(HERE):
            return
        os.makedirs(os.path.dirname(SERVER), 0o700, exist_ok=True)
        if not is_told():
            tell_login_node()
        for path in LOCKS:
            if not os.path.lexists(path):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as lock:
                    lock.write(process(os.getpid()))


def take_back() -> None:
    """Take that away, unless another job has written its own."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(says(SERVER, 10**5)).get("lock") == process(os.getpid()):
            os.unlink(SERVER)


# What it prints.


def begin_log() -> None:
    """Let all that this process and its kernels print go to the terminal, and to a log of a bounded size."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(LOG, f"{LOG}.previous")
    with open(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as log:
        log.write(f"Start {START}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}\n")
    # It runs as long as somebody prints, which kernels may do longer than this process.
    keeper = subprocess.Popen(
        [sys.executable, "-E", "-s", os.path.join(HERE, "jupyter_cluster_log.py"), LOG], stdin=subprocess.PIPE
    )
    if keeper.stdin:
        for descriptor in (1, 2):
            os.dup2(keeper.stdin.fileno(), descriptor)


# Where the kernels' sockets are: on the node, since their names may have 107 bytes, and a home's may be long.


def make_place(path: str) -> None:
    """Make the private folder on the node, or see that the one that is there is ours."""
    above = os.stat(os.path.dirname(path))
    if above.st_uid not in (0, os.getuid()) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
        raise ValueError(f"{os.path.dirname(path)} lets others rename what is in it.")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ValueError(f"{path} is not ours: {error.strerror}. Run the playbook again.") from error
    found = os.fstat(folder)
    mark = os.path.join(path, MARK)
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or (os.listdir(path) and not os.path.exists(mark)):
        raise ValueError(f"{path} is not ours, or not private. Run the playbook again.")
    # systemd-tmpfiles passes by what is locked; the descriptor stays open as long as this process.
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_SH)
    try:
        with open(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(HERE + "\n")
    except OSError as error:
        # What a full disk says at the end of a file does not name it.
        raise OSError(error.errno, error.strerror, mark) from error


def keep_place(path: str) -> None:
    """Touch what is in the place, for ever; put it back where somebody has taken it away."""
    touched, said = time.monotonic(), ""
    while True:
        time.sleep(LOOK)
        try:
            if not os.path.isdir(path):
                make_place(path)
                print(
                    f"{path} was taken away, and is there again, without the sockets of kernels that run.", flush=True
                )
            if time.monotonic() - touched >= TOUCH:
                touched = time.monotonic()
                for name in [path, *glob.glob(os.path.join(path, "*")), os.path.join(path, MARK)]:
                    with contextlib.suppress(FileNotFoundError):
                        os.utime(name)
            said = ""
        except (OSError, ValueError) as error:
            if said != str(error):
                said = str(error)
                print(f"{path}, where new kernels get their sockets, cannot be kept: {error}", flush=True)


def leave_place(path: str) -> None:
    """Take away the place of a server that has ended, and what is in it; but for kernels of another that was killed.

    Those go on, and whoever wants what they have in their memory needs their files.
    """
    kept = used_by_kernels(path)
    for name in os.listdir(path) if kept else []:
        if name != MARK and not name.startswith(tuple(kept)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))
    if not kept:
        shutil.rmtree(path, ignore_errors=True)


def leave_old_places(path: str) -> None:
    """Take away what jobs have left on this node that were ended by force; their servers are seen to have ended."""
    for old in glob.glob(f"{path.rpartition('-')[0]}-*"):
        with contextlib.suppress(OSError):
            ours = not os.path.islink(old) and os.stat(old).st_uid == os.getuid()
            if old != path and ours and says(os.path.join(old, MARK)) == f"{HERE}\n":
                leave_place(old)


def used_by_kernels(path: str) -> list[str]:
    """Return the beginnings of the names of the files that processes have on their command lines: kernel-NUMBER."""
    file = re.compile(re.escape(os.fsencode(path)) + rb"/(kernel-[0-9a-f-]+)[.]json")
    found: set[str] = set()
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(name, "rb") as line:
            if os.stat(name).st_uid == os.getuid():
                found.update(map(os.fsdecode, file.findall(line.read())))
    return sorted(found)


# What is started.


class Pair:
    """The certificate and its key: as they are on the disk, so that new ones count at once; else the last that served.

    What runs stays reachable for its owner, whatever becomes of the files.
    """

    def __init__(self) -> None:
        """Require that they are there, and belong together."""
        self.files = option("ServerApp.certfile"), option("ServerApp.keyfile")
        for file in self.files:
            if not os.path.isfile(file) or not os.path.getsize(file):
                stop(f"{file} is missing. Run the playbook again.")
        try:
            self.seen, self.current = self.stamp(), self.read()
        except (OSError, ssl.SSLError) as error:
            stop(f"{' and '.join(self.files)} do not serve: {error}. Run the playbook again.")
        #: What each connection begins with.
        self.context = self.read()
        self.context.sni_callback = self.choose

    def stamp(self) -> list[tuple[int, int, int]]:
        """Return what changes with a file."""
        return [(found.st_ino, found.st_size, found.st_mtime_ns) for found in map(os.stat, self.files)]

    def read(self) -> ssl.SSLContext:
        """Read them; nothing but a file is waited for, and no passphrase is asked for."""
        if not all(map(os.path.isfile, self.files)):
            raise OSError("no files")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self.files, password=lambda: b"")
        return context

    def choose(self, connection: Any, name: Any, context: ssl.SSLContext) -> None:
        """Give a connection the pair that serves, whatever name it asks for."""
        with contextlib.suppress(OSError, ssl.SSLError):
            seen = self.stamp()
            if seen != self.seen:
                self.current, self.seen = self.read(), seen
        connection.context = self.current


def require_password() -> None:
    """Require a password that counts."""
    try:
        importlib.import_module("jupyter_cluster_password").whole_hash(os.path.join(HERE, "password_hash"))
    except (OSError, ValueError):
        stop(f"{HERE}/password_hash is missing, or not whole. Run the playbook again.")


def generation() -> Any:
    """Return the generation of the Jupyter that INTERFACE is, once it is seen to be one that heeds the options."""
    generations = importlib.import_module("jupyter_cluster_generations")
    try:
        return generations.find(INTERFACE)
    except generations.Unfit as error:
        stop(str(error))


def with_own_files(found: Any) -> Any:
    """Return the class of server that reads its user's own configuration, too; beside --config, Jupyter reads none."""
    config = importlib.import_module("traitlets.config")
    read = config.Application.load_config_file
    server, place = found.server(), os.environ["JUPYTER_RUNTIME_DIR"]
    # SQLite's locks hang on some disks of a network: what the server keeps for itself is on the node.
    databases = {
        "NotebookNotary": {"db_file": os.path.join(place, "nbsignatures.db")},
        "BaseFileIdManager": {"db_path": os.path.join(place, "file_id_manager.db")},
    }

    class ClusterServerApp(server):  # type: ignore[misc, valid-type]
        """Jupyter's own, for one who has files of their own."""

        def load_config_file(self, suppress_errors: bool = True) -> None:
            """Read the user's own, in Jupyter's order, and ours at last, which beats them."""
            self.update_config(config.Config(databases))
            read(self, "jupyter_config", path=self.config_file_paths)
            read(self, found.file, path=self.config_file_paths)
            self.read_ours()

        def read_ours(self) -> None:
            """Read ours, and have the command line beat it."""
            folder, ours = os.path.split(option("config"))
            read(self, ours, path=folder)

        def init_configurables(self) -> None:
            """Use what was read; and refuse a gateway before Jupyter looks for it, and looks for it again."""
            # What an extension has taken over meanwhile, from an old file of another application, beats nothing.
            self.read_ours()
            require_kernels_here(self, found)
            super().init_configurables()

        async def _cleanup(self) -> None:
            """Clean up before the end, which does not fail to come for what goes wrong there."""
            try:
                await super()._cleanup()
            except Exception:
                self.log.exception("What was left could not be tidied up:")
                with contextlib.suppress(Exception):
                    await self.cleanup_kernels()

    return ClusterServerApp


def initialize(found: Any) -> Any:
    """Let Jupyter come as far as it can without listening; where it ends by itself, say so."""
    try:
        return found.make(with_own_files(found), found.options(OPTIONS))
    except SystemExit as error:
        why = error.code if isinstance(error.code, str) else "Jupyter has ended by itself, and its log says why."
        stop(why.replace("Not started: ", ""))


def require_privacy(server: Any, found: Any) -> None:
    """Require that the server which is about to serve is the one that the options describe."""
    if server.config.get("JupyterCluster", {}).get("whole") != found.section:
        stop(f"{option('config')} is not whole, or cannot be read. Run the playbook again.")
    # Beside a socket there is no port.
    names = ("sock", "sock_mode") if option("ServerApp.sock") else ("sock", "ip", "port", "port_retries")
    wrong = [
        name for name in (*names, "certfile", "keyfile") if found.value(server, name) != option(f"ServerApp.{name}")
    ]
    wrong += found.wrong(server)
    if not server.http_server.ssl_options:
        wrong.append("https")
    # Without one nobody could log in.
    if not server.web_app.settings.get("cookie_secret"):
        wrong.append("cookie_secret")
    if not found.talks_privately(server):
        wrong.append("how kernels talk")
    if wrong:
        stop(f"your own configuration of Jupyter would change what keeps others out: {', '.join(wrong)}.")


def require_kernels_here(server: Any, found: Any) -> None:
    """Require that kernels run on this node, not on a gateway, which a file or a variable of the user's may name."""
    gateway = importlib.import_module(found.gateway).GatewayClient.instance(parent=server)
    if gateway.gateway_enabled:
        stop(
            f"your kernels would run on the gateway {gateway.url}, which nothing here keeps others out of. Take"
            " GatewayClient.url out of your own configuration of Jupyter, or JUPYTER_GATEWAY_URL out of your login"
            " scripts."
        )


def require_kernels(server: Any) -> None:
    """Require that of the kernels which are there, if any are, one at least can start."""
    trouble = importlib.import_module("jupyter_cluster_kernelspecs").trouble(server)
    if trouble:
        stop(f"no kernel could start. {trouble}")


def require_listening() -> None:
    """Require that somebody can reach the server: where it cannot listen, Jupyter says so in its log, and goes on."""
    if not somebody_listens():
        stop("Jupyter does not listen where it shall, and its log says why.")


def listen_again(server: Any) -> None:
    """Listen at a new socket where somebody has taken its file away, or put another one there."""
    path = option("ServerApp.sock")
    with contextlib.suppress(OSError):
        if path and os.path.isfile(path):
            os.unlink(path)
        if path and not os.path.lexists(path):
            if os.path.dirname(path) == os.path.dirname(LOCK) and os.path.isdir(HERE):
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            server.http_server.add_socket(importlib.import_module("tornado.netutil").bind_unix_socket(path, 0o600))
            print(f"{path} was not there any more, and is again.", flush=True)


def clear_way() -> None:
    """Take away what is of another kind than what this writes or opens there, and would keep it waiting for ever.

    A folder, which may have something in it, is named instead.
    """
    files = [*LOCKS, SESSION, f"{SESSION}.new", SERVER, f"{SERVER}.new", COOKIE_SECRET, LOG, f"{LOG}.previous"]
    fits = [*((path, stat.S_ISREG) for path in files), (option("ServerApp.sock"), stat.S_ISSOCK)]
    for path, is_right in fits:
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                stop(f"{path} is a folder, and in the way. Take it away.")
            if not is_right(mode):
                os.unlink(path)


def write_session() -> None:
    """Write down which sessions this runs in, as the keepers have them: screen, tmux, the user's service manager."""
    sessions = [os.environ.get("STY", ""), ",".join(os.environ.get("TMUX", "").split(",")[1:])]
    sessions.append(os.environ.get("JUPYTER_CLUSTER_UNIT", ""))
    with open(f"{SESSION}.new", "w") as record:
        record.writelines(f"{name}\n" for name in sessions if name)
    os.replace(f"{SESSION}.new", SESSION)


def serve() -> None:
    """Take the lock, and serve until the end."""
    place = os.environ["JUPYTER_RUNTIME_DIR"]
    umask = os.umask(0o077)
    with contextlib.ExitStack() as at_the_end:
        clear_way()
        for path in LOCKS:
            take_lock(path)
            at_the_end.callback(give_lock_back, path)
        require_alone()
        begin_log()
        make_place(place)
        if PLACE == "compute":
            leave_old_places(place)
            at_the_end.callback(take_back)
            tell_login_node()
        else:
            write_session()
        # Ours are found without PYTHONPATH, which kernels would inherit, and leave nothing beside them.
        sys.path.insert(0, HERE)
        sys.dont_write_bytecode = True
        require_password()
        pair, found = Pair(), generation()
        # As the command `jupyter` does it: terminals and kernels find what is installed beside it.
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
        # What the kernels write has the umask of the user.
        os.umask(umask)
        at_the_end.callback(leave_place, place)
        server = initialize(found)
        require_privacy(server, found)
        require_kernels(server)
        server.http_server.ssl_options = pair.context
        if any(says(path) != process(os.getpid()) for path in LOCKS):
            stop("another start has taken the lock.")
        threading.Thread(target=keep_place, args=(place,), daemon=True).start()
        ioloop = importlib.import_module("tornado.ioloop")
        # After Jupyter's own first step there, which is to listen.
        ioloop.IOLoop.current().add_callback(require_listening)
        ioloop.PeriodicCallback(lambda: listen_again(server), LOOK * 1000).start()
        if PLACE == "compute":
            ioloop.PeriodicCallback(tell_again, LOOK * 1000).start()
        server.start()


def certificates() -> str:
    """Say which variable of the user's names certificates that are not there; else where to look."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        path = os.environ.get(name)
        # The last one is made, where there is a folder for it.
        if path and not os.path.exists(os.path.dirname(path) if name == "SSLKEYLOGFILE" else path):
            return f"{name} is {path} in your login scripts, and that is not there: take it out."
    return "The log says where (`logs`)."


def variable_of(path: str) -> str:
    """Say which variable of the user's leads to a path, if one does."""
    for name, value in sorted(os.environ.items()):
        theirs = name.startswith(("IPYTHON", "JUPYTER_", "TMPDIR", "XDG_")) and name != "JUPYTER_RUNTIME_DIR"
        if theirs and path[:1] == value[:1] == "/" and os.path.commonpath([path, value]) in (path, value):
            return f" {name} is {value} in your login scripts: make that a folder of yours, or take it out."
    return ""


def main() -> None:
    """Serve, or say in one line why not."""
    try:
        serve()
    except OSError as error:
        if isinstance(error.filename, str):
            stop(f"{error.filename}: {error.strerror or error}.{variable_of(error.filename)}")
        # Of an open file Python has but a number, and of certificates not even that.
        traceback.print_exc()
        stop(f"{error.strerror or error}. {certificates()}")
    except ValueError as error:
        stop(str(error))
    except Exception as error:
        traceback.print_exc()
        stop(f"{type(error).__name__}: {error}.")


if __name__ == "__main__":
    main()
