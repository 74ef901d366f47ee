"""What differs between the generations of Jupyter, where a server of one is made and judged.

JupyterLab 4 and notebook 7 run on jupyter_server 2, JupyterLab 3 on that or on jupyter_server 1; notebook 6 is a server
of its own. What runs is asked what it is: another package's version says nothing of it.
"""

from __future__ import annotations

import abc
import importlib
import sys
from typing import Any, ClassVar

#: What each interface is in, a module and its application: the newest first.
APPLICATIONS = {
    "lab": [("jupyterlab.labapp", "LabApp")],
    "notebook": [("notebook.app", "JupyterNotebookApp"), ("notebook.notebookapp", "NotebookApp")],
}
#: What stands where Jupyter wants a hash, and is none: nobody but us judges passwords.
PLACEHOLDER = "see password_hash"


class Unfit(Exception):
    """The Jupyter that is found is not one that could be kept private."""


class Generation(abc.ABC):
    """One generation of Jupyter, by the application that would be started."""

    #: The package that has the server, and the section of the configuration that has its options.
    package, section = "jupyter_server", "ServerApp"
    #: The file of the user's own for the server, without its ending.
    file = "jupyter_server_config"
    #: The module that knows of gateways.
    gateway = "jupyter_server.gateway.managers"
    #: What the classes are that manage kernels, by the class whose setting it is.
    managers: ClassVar[dict[str, str]] = {
        "AsyncMappingKernelManager": "jupyter_cluster_kernels.AsyncClusterKernelManager",
        "MappingKernelManager": "jupyter_cluster_kernels.BlockingClusterKernelManager",
    }
    #: What the options of `launch` are called that have another name here.
    names: ClassVar[dict[str, str]] = {}

    def __init__(self, application: Any) -> None:
        """Remember what would be started."""
        self.application = application

    @abc.abstractmethod
    def server(self) -> Any:
        """Return the class of the server."""

    @abc.abstractmethod
    def keeps_out(self) -> dict[str, str]:
        """Return what keeps others out, as options of the command line, which beat every file."""

    @abc.abstractmethod
    def make(self, server: Any, options: list[str]) -> Any:
        """Make a server of that class, which comes as far as it can without listening."""

    @abc.abstractmethod
    def wrong(self, server: Any) -> list[str]:
        """Return what of a server is not as it keeps others out."""

    def options(self, given: list[str]) -> list[str]:
        """Return the options for the command line, from those of `launch`."""
        ours = {
            **self.keeps_out(),
            **{f"{name}.kernel_manager_class": value for name, value in self.managers.items()},
        }
        # One that is missing, or damaged, says so itself; Jupyter would say that an option has a wrong value.
        for value in ours.values():
            if value.startswith("jupyter_cluster_"):
                importlib.import_module(value.rpartition(".")[0])
        return [*map(self.renamed, given), *(f"--{name}={value}" for name, value in ours.items())]

    def renamed(self, option: str) -> str:
        """Return an option of `launch` as this generation calls it."""
        begin, dot, rest = option.partition(".")
        name, equals, value = rest.partition("=")
        if begin != "--ServerApp":
            return option
        return f"--{self.section}{dot}{self.names.get(name, name)}{equals}{value}"

    def value(self, server: Any, name: str) -> str:
        """Return what a server has come to, by the name of an option of `launch`."""
        return str(getattr(server, self.names.get(name, name)))

    def talks_privately(self, server: Any) -> bool:
        """Tell whether the kernels are those whose sockets are private."""
        ours = importlib.import_module("jupyter_cluster_kernels").ClusterKernelManager
        return issubclass(
            importlib.import_module("traitlets").import_item(server.kernel_manager.kernel_manager_class), ours
        )


class Server2(Generation):
    """jupyter_server 2, with its identity provider."""

    gateway = "jupyter_server.gateway.gateway_client"

    def server(self) -> Any:
        """Return the class of the server."""
        return self.application.serverapp_class

    def keeps_out(self) -> dict[str, str]:
        """Return what keeps others out."""
        return {
            "ServerApp.identity_provider_class": "jupyter_cluster_identity.Owner",
            "IdentityProvider.token": "",
            "PasswordIdentityProvider.password_required": "True",
            "ServerApp.kernel_websocket_connection_class": "jupyter_cluster_connection.ClusterKernelConnection",
        }

    def make(self, server: Any, options: list[str]) -> Any:
        """Make a server."""
        self.application.serverapp_class = server
        return self.application.initialize_server(argv=options)

    def wrong(self, server: Any) -> list[str]:
        """Return what is not as it keeps others out."""
        owner = importlib.import_module("jupyter_cluster_identity").Owner
        connection = importlib.import_module("jupyter_cluster_connection").ClusterKernelConnection
        found = []
        if type(server.identity_provider) is not owner or not server.identity_provider.auth_enabled:
            found.append("the password")
        if server.identity_provider.token:
            found.append("a token")
        if not issubclass(server.kernel_websocket_connection_class, connection):
            found.append("the debugger")
        return found


class Server1(Generation):
    """jupyter_server 1, whose login page's class says who gets in."""

    def server(self) -> Any:
        """Return the class of the server."""
        return importlib.import_module("jupyter_server.serverapp").ServerApp

    def keeps_out(self) -> dict[str, str]:
        """Return what keeps others out."""
        named = {
            "login_handler_class": "jupyter_cluster_handlers.Login",
            "logout_handler_class": "jupyter_cluster_handlers.Logout",
            "token": "",
            "password": PLACEHOLDER,
            "password_required": "True",
            "allow_password_change": "False",
        }
        return {f"{self.section}.{name}": value for name, value in named.items()}

    def make(self, server: Any, options: list[str]) -> Any:
        """Make a server."""
        pages = importlib.import_module("jupyter_cluster_handlers")
        pages.take(self.package)
        made = self.made(server, options)
        if not made.config.get("ClusterKernelConnection", {}).get("debugger"):
            pages.refuse_debuggers(self.package)
        return made

    def made(self, server: Any, options: list[str]) -> Any:
        """Make it of that class, which is no setting here."""
        vars(importlib.import_module("jupyter_server.extension.application"))["ServerApp"] = server
        return self.application.initialize_server(argv=options)

    def wrong(self, server: Any) -> list[str]:
        """Return what is not as it keeps others out."""
        ours = importlib.import_module("jupyter_cluster_handlers")
        settings, found = server.web_app.settings, []
        if settings["login_handler_class"] is not ours.Login or settings["logout_handler_class"] is not ours.Logout:
            found.append("the password")
        if server.token or settings["token"]:
            found.append("a token")
        return found


class Notebook6(Server1):
    """notebook 6, which is a server of its own."""

    package, section, file = "notebook", "NotebookApp", "jupyter_notebook_config"
    gateway = "notebook.gateway.managers"
    names: ClassVar[dict[str, str]] = {"root_dir": "notebook_dir"}

    def server(self) -> Any:
        """Return the class of the server."""
        return self.application

    def made(self, server: Any, options: list[str]) -> Any:
        """Make it of that class."""
        made = server.instance()
        made.initialize(argv=options)
        return made


def find(interface: str) -> Generation:
    """Return the generation of the Jupyter that has an interface; Unfit where that could not be kept private."""
    application, why = None, ""
    for module, name in APPLICATIONS[interface]:
        try:
            application = getattr(importlib.import_module(module), name)
            break
        except (ImportError, AttributeError) as error:
            # Of the older one, at last: where there is neither, it is as good a name as the newer.
            why = str(error)
    if application is None:
        raise Unfit(f"the Jupyter {interface} in {sys.prefix} cannot be imported: {why}.")
    if application.__name__ == "NotebookApp":
        found: Generation = Notebook6(application)
    else:
        try:
            version = importlib.import_module("jupyter_server").__version__
            extension = importlib.import_module("jupyter_server.extension.application").ExtensionApp
        except (ImportError, AttributeError) as error:
            raise Unfit(f"the Jupyter {interface} in {sys.prefix} has no jupyter_server: {error}.") from error
        if not issubclass(application, extension):
            raise Unfit(f"the Jupyter {interface} in {sys.prefix} does not run on jupyter_server.")
        found = Server1(application) if version.startswith("1.") else Server2(application)
    if not hasattr(found.server(), "sock_mode"):
        raise Unfit(f"the Jupyter {interface} in {sys.prefix} is too old: it cannot listen at a socket.")
    return found
