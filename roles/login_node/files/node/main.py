"""The commands: what each is told, as JSON, and what it prints, one JSON object.

    look     see `look.look`                                      the facts, as facts.schema.json has them
    write    files, secrets: {NAME: CONTENT}, programs: [NAME], check, diff          `changed`: a list of paths, `diff`
    request  openssl, leftovers   a new key in a `set` of its own, the `request` for its certificate, and the `time`
    place    openssl, set, certificate, authority                                    puts that set in its place
    tidy     leftovers                                                               `changed`
    ask      patience                                             the server's answer, see `ask.ask`
    start    patience, seconds, keeper, kind, address             `warnings`: a list of sentences
    stop     patience, seconds, keeper

And of a job of Slurm's, told `cluster`, `asked` (words for sbatch), `keeper`, `patience` and `seconds`:

    submit   besides `wait`, the `address` of the relay's socket, and its `way_in`: srun or ssh
                                `number`, `host` and `end` of the job, `waits`: what it waits for, a sentence or
                                nothing, and `warnings`
    lead     has a relay lead into the job that is there
    judge    in the job: `start`, `own`, `address`, `patience`, `seconds`                      `warnings`
    cancel   ends job and relay
    wish                        `test`: what Slurm says of a job like this, which it would take
    offer                       `version`, `partitions`, and `test`: what Slurm says of the wishes

Where something cannot be done, lines of text say why instead, and the exit status is 1; it is 3 where another start was
first, whose server answers.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from node.ask import answer
from node.certificate import place, request, tidy
from node.compute import cancel, judge, lead, offer, submit, wish
from node.folder import Failure, Folder
from node.look import look
from node.programs import LIBRARY_PATH
from node.start import start
from node.stop import stop

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[[Folder, dict[str, Any]], dict[str, Any]]

COMMANDS: dict[str, Command] = {
    "look": look,
    "write": Folder.write,
    "request": request,
    "place": place,
    "tidy": tidy,
    "ask": answer,
    "start": start,
    "stop": stop,
    "submit": submit,
    "lead": lead,
    "judge": judge,
    "offer": offer,
    "wish": wish,
    "cancel": cancel,
}


def run(sent: dict[str, Any]) -> None:
    """Do what was asked, in the folder that was named, and print what came of it."""
    # For this Python, and programs of a module: what is started has a login shell of its own.
    if sent.get("library_path"):
        LIBRARY_PATH.append(os.environ.pop("LD_LIBRARY_PATH", ""))
    folder = Folder(sent["folder"])
    try:
        print(json.dumps(COMMANDS[sent["command"]](folder, sent["data"])))
    except Failure as failure:
        # Without what lets somebody in.
        print(re.sub(r"(token=)[^&\s]+", r"\1[secret]", str(failure)))
        sys.exit(failure.status)
    except OSError as error:
        print(f"{error.filename or folder.path}: {error.strerror or error}.")
        sys.exit(1)
