"""Say what the Python of Jupyter has, as lines of key, tab, value: python - ROOT

ROOT is where the server shall begin: a path from `/` or `~`, or nothing for the home directory. An old Python must come
as far as its version, which is what is wrong with it.
"""

import sys

# Not from the home directory, where a file of the user's may have the name of a module.
sys.path[:] = [path for path in sys.path if path not in ("", ".")]

import base64
import os

print("python.path\t" + sys.executable)
print("python.version\t%d.%d.%d" % sys.version_info[:3])

from importlib.metadata import PackageNotFoundError, version

root = os.path.expanduser(sys.argv[1] or "~")
print("root\t" + base64.b64encode(os.fsencode(root)).decode())
print("root_exists\t" + ("yes" if os.path.isdir(root) else "no"))
for package in ("jupyter_server", "jupyterlab", "notebook"):
    try:
        print("packages." + package + "\t" + version(package))
    except PackageNotFoundError:
        pass
