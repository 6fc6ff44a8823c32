"""The config that a checkpoint was trained with, read without running it."""

import ast
from collections.abc import Mapping
from typing import Any


def read_plain_config(meta: Mapping) -> dict:
    """The config in a checkpoint's ``meta``: ``config`` (published) or ``cfg`` (training).

    MMEngine's ``pretty_text`` is Python that only calls ``dict``; nothing of it is run. What else
    may stand there, and a text that is no Python, count as no config.
    """
    text = meta.get('config', meta.get('cfg'))
    if not isinstance(text, str):
        return {}
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return {}
    config = {}
    for line in body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                config[line.targets[0].id] = _value(line.value)
            except ValueError:
                continue
    return config


def _value(node: ast.expr) -> Any:
    """Of nested literals and ``dict(name=value)``.

    Raises:
        ValueError: if it is anything else.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if node.args:
            raise ValueError('dict(...) of other than names')
        named = [item for item in node.keywords if item.arg is not None]
        value = {str(item.arg): _value(item.value) for item in named}
        for item in node.keywords:
            if item.arg is None:
                value.update(_value(item.value))
        return value
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError('a dict within a dict')
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    return ast.literal_eval(node)
