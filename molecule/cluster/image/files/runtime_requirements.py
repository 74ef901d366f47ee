"""Print the part of a requirements.txt that some packages need: runtime_requirements.py FILE PACKAGE...

pip would install a subset by itself, but for `--require-hashes`, which wants every line of it.
"""

import re
import sys

blocks: dict[str, tuple[str, set[str]]] = {}
with open(sys.argv[1]) as file:
    for block in re.findall(r"^\w.*\n(?:[ #].*\n)*", file.read(), re.M):
        name = re.split(r"[^\w.-]", block)[0]
        text, asked_for_by = blocks.get(name, ("", set()))
        # Each package stands below the names of those that want it: "# via A", or "# via" and a line for each.
        blocks[name] = (text + block, asked_for_by | set(re.findall(r"^ +#(?: via)? +([\w.-]+)", block, re.M)))

needed = set(sys.argv[2:])
while more := {name for name, (_, asked_for_by) in blocks.items() if asked_for_by & needed} - needed:
    needed |= more
sys.stdout.writelines(blocks[name][0] for name in sorted(needed))
