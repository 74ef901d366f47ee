"""The command line: `jupyter-cluster VERB [CLUSTER] [OPTIONS] [-- WORDS FOR ansible-playbook]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from jupyter_cluster import __version__, playbook
from jupyter_cluster.begin import begin, samples
from jupyter_cluster.inventory import Inventory, closest, read
from jupyter_cluster.places import VARIABLE, inventories, own_inventory, project
from jupyter_cluster.verbs import COMMON, VERBS, Option, Verb

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EPILOG = """\
Everything after -- goes to ansible-playbook: jupyter-cluster start viper -- --check --diff

To have your shell complete verbs, clusters and options, put this into ~/.bashrc (for zsh: zsh_source, ~/.zshrc):

  eval "$(_JUPYTER_CLUSTER_COMPLETE=bash_source jupyter-cluster)"

and for fish this into ~/.config/fish/config.fish:

  _JUPYTER_CLUSTER_COMPLETE=fish_source jupyter-cluster | source
"""


class Verbs(click.Group):
    """The verbs, in the order in which one comes to need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the one that is typed, or say which was meant."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            # Whoever knows the cluster first.
            if args[1:] and args[1] in self.commands:
                raise click.UsageError(f"The verb comes first: jupyter-cluster {args[1]} {args[0]}")
            meant = closest(args[0], self.commands)
            raise click.UsageError(f"{args[0]} is no verb{f'; did you mean {meant}?' if meant else '.'}")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write it as it stands above, since lines to copy are in it."""
        formatter.write(f"\n{self.epilog}")


def complete_cluster(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the clusters that begin with what is typed."""
    found = inventory_of(inventories(ctx.params.get("inventory") or ()))
    return [CompletionItem(name) for name in sorted(found.clusters) if name.startswith(typed)]


def inventory_of(sources: Sequence[Path]) -> Inventory:
    """Read an inventory, with what a checkout adds to each."""
    # group_vars/all/user leads there.
    own = project() / "inventory" / "group_vars" / "all"
    return read(sources, [own] if own.is_dir() else [])


def require_cluster(verb: Verb, cluster: str | None, sources: Sequence[Path], found: Inventory) -> None:
    """Refuse what Ansible would refuse in its own words: an inventory with a slip, a cluster that is not in it."""
    for source in sources:
        if not source.exists() and source != own_inventory():
            raise click.ClickException(
                f"There is no {source}: name the folder with your clusters' files by -i, or {VARIABLE}."
            )
    if found.mistakes:
        raise click.ClickException("\n".join(found.mistakes))
    where = ", ".join(map(str, sources))
    if not found.complete:
        return
    if not found.clusters:
        raise click.ClickException(f"There is no cluster yet in {where}. To add yours: jupyter-cluster init")
    if cluster is None and not verb.for_all and len(found.clusters) > 1:
        raise click.ClickException(
            f"Which one? There are {', '.join(sorted(found.clusters))}: jupyter-cluster {verb.name} CLUSTER"
        )
    if cluster is not None and cluster not in found.names:
        if meant := closest(cluster, found.names):
            raise click.ClickException(f"There is no {cluster} in {where}; did you mean {meant}?")
        raise click.ClickException(
            f"There is no {cluster} in {where}, but {', '.join(sorted(found.clusters))}. To add it: "
            f"jupyter-cluster init {cluster}"
        )


def command_of(verb: Verb) -> click.Command:
    """Make the command of a verb."""

    def run(cluster: str | None, inventory: tuple[str, ...], extra: tuple[str, ...], **given: Any) -> None:
        sources = inventories(inventory)
        found = inventory_of(sources)
        require_cluster(verb, cluster, sources, found)
        options = (*verb.options, *COMMON)
        playbook.become(
            playbook.words(
                verb.playbook,
                inventories=sources,
                cluster=cluster,
                variables=[*(f"{name}={value}" for name, value in _set(options, given)), *extra],
                ask_vault=found.needs_vault(cluster),
                more=click.get_current_context().obj or (),
            )
        )

    parameters: list[click.Parameter] = [
        click.Argument(["cluster"], required=False, shell_complete=complete_cluster),
        *map(_parameter, (*verb.options, *COMMON)),
        _where(),
        click.Option(
            ["-e", "extra"], metavar="NAME=VALUE", multiple=True, help="Any other choice, for this run alone."
        ),
    ]
    return click.Command(verb.name, context_settings=SETTINGS, callback=run, params=parameters, help=verb.help)


def init() -> click.Command:
    """Make the command that writes a cluster down."""

    def run(cluster: str | None, inventory: tuple[str, ...]) -> None:
        sources = inventories(inventory)
        found = inventory_of(sources)
        if found.mistakes:
            raise click.ClickException("\n".join(found.mistakes))
        begin(cluster, sources[0], found)

    names = [click.Argument(["cluster"], required=False, shell_complete=_complete_sample)]
    return click.Command(
        "init", context_settings=SETTINGS, callback=run, params=[*names, _where()], help="Write your cluster down."
    )


def _complete_sample(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in samples() if name.startswith(typed)]


def _where() -> click.Option:
    return click.Option(
        ["-i", "--inventory"],
        metavar="PATH",
        multiple=True,
        help=f"Where the clusters' files are; else {VARIABLE} in the environment, or your own.",
    )


def _parameter(option: Option) -> click.Option:
    if option.value is None:
        return click.Option([*option.flags, option.variable], metavar=option.metavar, help=option.help)
    return click.Option([*option.flags, option.variable], is_flag=True, help=option.help)


def _set(options: Sequence[Option], given: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (option.variable, option.value or str(given[option.variable])) for option in options if given[option.variable]
    ]


def _say_release(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"jupyter-cluster {__version__}")
        ctx.exit()


def program() -> click.Group:
    """Make the command."""
    group = Verbs(
        "jupyter-cluster",
        context_settings=SETTINGS,
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_say_release,
                help="Say which release this is.",
            )
        ],
        help="Your own Jupyter server on a cluster: jupyter-cluster VERB CLUSTER",
        epilog=EPILOG,
        subcommand_metavar="VERB [CLUSTER] [OPTIONS] [-- ANSIBLE'S OPTIONS]",
        options_metavar="",
    )
    group.add_command(init())
    for verb in VERBS:
        group.add_command(command_of(verb))
    return group


def main() -> None:
    """Run what is typed."""
    typed = sys.argv[1:]
    more: list[str] = []
    if "--" in typed:
        at = typed.index("--")
        typed, more = typed[:at], typed[at + 1 :]
    try:
        sys.exit(program().main(typed, prog_name="jupyter-cluster", standalone_mode=False, obj=tuple(more)))
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        sys.exit(2)
    except click.UsageError as error:
        said = error.format_message()
        stop = "" if said.endswith((".", "?")) else "."
        _end(f"{said}{stop} See: {error.ctx.command_path if error.ctx else 'jupyter-cluster'} --help", 2)
    except click.ClickException as error:
        _end(error.format_message(), 1)
    except click.Abort:
        # As a shell has it for Ctrl-C.
        _end("\nStopped.", 130)


def _end(said: str, status: int) -> NoReturn:
    click.echo(said, err=True)
    sys.exit(status)
