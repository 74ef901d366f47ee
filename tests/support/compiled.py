"""Keeps what Jinja compiles from one run of a playbook to the next, which ansible-core keeps nowhere."""

from __future__ import annotations

from types import CodeType
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, nodes
from jinja2.bccache import Bucket
from jinja2.environment import TemplateExpression

#: By what else than its source a template is compiled.
SYNTAX = (
    "block_start_string", "block_end_string", "variable_start_string", "variable_end_string", "comment_start_string",
    "comment_end_string", "line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks",
    "newline_sequence", "keep_trailing_newline", "optimized",
)  # fmt: skip


def keep(folder: str) -> None:
    """Have every template and expression of this process, and of its children, read from there, or written to there."""
    # Of a part of ansible-core that has no public name.
    from ansible._internal._templating._jinja_bits import _TemplateCompileContext

    cache = FileSystemBytecodeCache(folder)
    compile_template, compile_expression = Environment.compile, Environment.compile_expression
    made: list[CodeType] = []

    def bucket(environment: Environment, kind: str, source: str) -> Bucket:
        context = _TemplateCompileContext.current(optional=True)
        syntax = [getattr(environment, name) for name in SYNTAX]
        key = repr((kind, type(environment).__name__, syntax, context and context.escape_backslashes, str(source)))
        return cache.get_bucket(environment, key, None, key)

    def template(self: Environment, source: str | nodes.Template, *args: Any, **kwargs: Any) -> Any:
        if isinstance(source, str) and not (args or kwargs):
            found = bucket(self, "template", source)
            if found.code is None:
                found.code = compile_template(self, source)
                cache.set_bucket(found)
            return found.code
        code = compile_template(self, source, *args, **kwargs)
        made[:] = [code]
        return code

    def expression(self: Environment, source: str, undefined_to_none: bool = True) -> TemplateExpression:
        found = bucket(self, "expression", source)
        if found.code is None:
            compiled = compile_expression(self, source, undefined_to_none)
            found.code = made.pop()
            cache.set_bucket(found)
            return compiled
        code = self.template_class.from_code(self, found.code, self.make_globals(None), None)
        return TemplateExpression(code, undefined_to_none)

    Environment.compile = template  # type: ignore[method-assign]
    Environment.compile_expression = expression  # type: ignore[method-assign]
