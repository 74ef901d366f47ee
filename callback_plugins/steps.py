"""Shows a run as a person reads it."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import stringc
from ansible.utils.display import Display

DOCUMENTATION = """
name: steps
type: stdout
short_description: Shows what is waited for, what has changed, and what the playbook says
description:
  - Results go to standard output, so that C(status -e status_format=json) can be read by a program. All else goes to
    standard error.
  - A step is shown while it takes longer than a second, and when it has changed something.
  - What goes wrong is shown at the end, as the one line that the playbook has for it.
  - With C(-v) it is Ansible's own default output, as it is with C(ANSIBLE_STDOUT_CALLBACK=default).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

#: How long a step may take before its name is shown, in seconds.
PATIENCE = 1.0
#: Their message is written for people, so all else that Ansible knows about the failure is left out.
SPEAKING = {"ansible.builtin.fail", "ansible.builtin.assert", "laptop_files", "localhost_certificate", "on_node"}
#: What Ansible puts around the error of a template, one for each step that it took to it.
FRAME = re.compile(
    r"Task failed: (?:Finalization of task args for '[^']*' failed: |Error while resolving value for '[^']*': "
    r"|A '[^']*' expression failed: )*"
)
#: And around that of a filter.
FILTER_FRAME = re.compile(r"The filter plugin '([a-z_]+)' failed: ")
ROOT = Path(__file__).parents[1]
FILTERS = {path.stem for path in ROOT.glob("filter_plugins/*.yml")}
#: What is no file of the user's begins with.
OURS = tuple(f"{ROOT / name}/" for name in ("roles", "playbooks", "group_vars"))


class CallbackModule(Default):  # type: ignore[misc]  # Ansible has no types.
    """The default output, without what needs no reader."""

    CALLBACK_NAME = "steps"

    def __init__(self) -> None:
        """Begin without a step and without a failure."""
        super().__init__()
        self._timer: threading.Timer | None = None
        self._failures: dict[str, str] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Show what the play is for."""
        self._play = play
        self._tell(play.get_name(), C.COLOR_HIGHLIGHT)

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        super()._task_start(task, prefix)
        self._stop_timer()
        # A prompt speaks for itself.
        if task.action != "ansible.builtin.pause":
            line = stringc(f"... {_name(task)}", C.COLOR_VERBOSE) + "\n"
            # Not by way of Python's files: a lock that this thread holds would stay held in a worker forked just then.
            self._timer = threading.Timer(PATIENCE, os.write, (2, line.encode()))
            self._timer.daemon = True
            self._timer.start()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show a message, or that something has changed."""
        self._stop_timer()
        self._handle_warnings_and_exception(result)
        if result.task.action in C._ACTION_DEBUG and "msg" in result.result:
            self._display.display(_lines(result.result["msg"]))
            # Where both outputs go to one file, they keep their order.
            sys.stdout.flush()
        elif result.result.get("changed"):
            self._tell(f"changed: {_name(result.task)}", C.COLOR_CHANGED)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep what went wrong, which a rescue may mend."""
        self._stop_timer()
        if not ignore_errors:
            self._failures[result.host.get_name()] = self._failure(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Keep it, as a failure."""
        self.v2_runner_on_failed(result, result.task.ignore_unreachable)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show what went wrong, and how much was done."""
        self._stop_timer()
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            failed = counts["failures"] + counts["unreachable"]
            if len(stats.processed) > 1 and not (counts["ok"] or failed):
                # A cluster's other login node, which was left alone.
                continue
            if failed and host in self._failures:
                self._tell(self._failures[host], C.COLOR_ERROR)
            color = C.COLOR_ERROR if failed else C.COLOR_CHANGED if counts["changed"] else C.COLOR_OK
            self._tell(f"{host}: ok={counts['ok']} changed={counts['changed']} failed={failed}", color)

    def _print_task_banner(self, task: Any) -> None:
        """Leave it out, also above a diff."""

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Leave out which files a role consists of."""

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Leave the items to their task."""

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Leave the items to their task."""

    def v2_runner_retry(self, result: Any) -> None:
        """Leave out the tries: the step's name says how long they may take."""

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _tell(self, text: str, color: str) -> None:
        self._display.display(text, color=color, stderr=True)

    def _failure(self, result: Any) -> str:
        found = result.result
        items = [item for item in found["results"] if _is_failed(item)] if "results" in found else [found]
        origin = _origin(getattr(result, "exception", None))
        lines = [_speaks(item, result.task, origin) for item in items]
        return "\n".join(lines) if lines and all(lines) else f"{_name(result.task)}: {self._dump_results(found)}"


def _is_failed(item: dict[str, Any]) -> bool:
    """Tell whether an item of a loop has failed, which ansible-core 2.21 and newer do not write into its result."""
    return bool(item.get("failed", item.get("failed_when_result", "exception" in item)))


def _origin(summary: Any) -> str:
    """Return where the cause of an error stands in a file of the user's, FILE:LINE:COLUMN, if Ansible knows."""
    event, found = getattr(summary, "event", None), ""
    while event:
        context = str(getattr(event, "formatted_source_context", None) or "")
        where = re.match(r"Origin: (/.*:\d+:\d+)$", context, re.M)
        if where and not where[1].startswith(OURS):
            found = where[1]
        event = getattr(getattr(event, "chain", None), "event", None)
    return found


def _speaks(found: dict[str, Any], task: Any, origin: str) -> str:
    """Return what went wrong as it is written for people, or an empty string where all of the result has to be shown.

    A result that is secret has no more than that to say.
    """
    if "censored" in found:
        return f"{_name(task)}: {found['censored']}"
    if "msg" not in found:
        return ""
    message = _lines(found["msg"])
    if frame := FRAME.match(message):
        return _unframed(message[frame.end() :], _name(task), origin)
    return message if task.action in SPEAKING else ""


def _unframed(error: str, name: str, origin: str) -> str:
    """Return the error of a template: what a filter of ours says on purpose, or what went wrong in which step and line.

    What it says on purpose begins with its name, or has a remedy after the cause; a Python error has neither.
    """
    frame = FILTER_FRAME.match(error)
    if frame and frame[1] in FILTERS:
        said = error[frame.end() :]
        if said.startswith(f"{frame[1]}: ") or re.match(r"[A-Z][^\n]*[.] ", said):
            return said
    return f"{name}: {error} ({origin})" if origin else f"{name}: {error}"


def _name(task: Any) -> str:
    """Return the sentence, without the role and the file that it stands in."""
    return str(task.name or task.get_name()).rpartition(" | ")[2].strip()


def _lines(message: Any) -> str:
    return "\n".join(map(str, message)) if isinstance(message, list) else str(message).rstrip("\n")


if Display().verbosity:
    CallbackModule = Default  # type: ignore[misc]
