"""Take this program from standard input, import its modules from there, and run the command that came with them.

What comes is JSON: `program`, the modules' texts by their names, packed as `node_program` does it; `folder`, `command`
and `data`. The folder may come as an argument instead.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import zlib
from typing import Any

# What a login script prints comes before this.
print("\njupyter-on-a-cluster-program", flush=True)
SENT = json.load(sys.stdin)
MODULES = json.loads(zlib.decompress(base64.b64decode(SENT["program"])))


class Sent:
    """Finds what was sent: the package `node`, and a module that the server has, too.

    It is a finder and a loader by what it has: the classes of these names take as long to import as Python to start.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module by its name."""
        if name not in MODULES:
            return None
        loader: Any = self
        return importlib.util.spec_from_loader(name, loader, is_package=name == "node")

    def create_module(self, spec: Any) -> None:
        """Leave it to Python."""

    def exec_module(self, module: Any) -> None:
        """Run its text."""
        exec(compile(MODULES[module.__name__], module.__name__, "exec"), module.__dict__)


sys.meta_path.insert(0, Sent())

importlib.import_module("node.main").run({"folder": "".join(sys.argv[1:2]), **SENT})
