"""/docs: the OpenAPI description as a plain page. (The usual pages load a script from another host.)"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

STYLE = "/docs.css"
HEAD = "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'><link rel='icon' href='data:,'>"

Schema = Mapping[str, Any]


def docs_page(schema: Schema, example: str) -> str:
    """
    Args:
        schema: OpenAPI 3.1.
        example: a command that can be pasted.
    """
    info = schema["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info.get('description', ''))}</p>",
        f"<p>For programs: <a href='/openapi.json'>openapi.json</a> (OpenAPI {escape(schema['openapi'])}).</p>",
        f"<pre><code>{escape(example)}</code></pre>",
        *(operation(path, method, action) for path, methods in schema["paths"].items() for method, action in methods.items()),
        "<h2>Shapes</h2>",
        *(shape(name, fields) for name, fields in schema["components"]["schemas"].items()),
    ]
    head = f"{HEAD}<title>ser: API</title><link rel='stylesheet' href='{STYLE}'>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body><main>{''.join(parts)}</main></body></html>"


def operation(path: str, method: str, action: Schema) -> str:
    takes = action.get("requestBody", {}).get("content", {})
    answers = sorted(action["responses"].items())
    rows = [(status, escape(answer["description"]), kinds(answer.get("content", {}))) for status, answer in answers]
    about = escape(action.get("description") or action.get("summary", ""))
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{about}</p>"
        f"{'<p>Takes: ' + kinds(takes) + '</p>' if takes else ''}{table(('status', 'meaning', 'content'), rows)}</section>"
    )


def kinds(content: Schema) -> str:
    return "<br>".join(f"<code>{escape(media)}</code> {kind(schema.get('schema', {}))}" for media, schema in content.items())


def kind(schema: Schema) -> str:
    """A short description of a schema in HTML.

    >>> kind({"type": "array", "items": {"type": "number"}}), kind({"anyOf": [{"type": "number"}, {"type": "null"}]})
    ('list of number', 'number or null')
    """
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {kind(schema['additionalProperties'])}"
    if "properties" in schema:
        return "with " + ", ".join(f"<code>{escape(name)}</code>: {kind(each)}" for name, each in schema["properties"].items())
    return escape(schema.get("format") or schema.get("type", ""))


def shape(name: str, schema: Schema) -> str:
    fields = schema["properties"].items()
    rows = [(f"<code>{escape(field)}</code>", kind(each), escape(each.get("description", ""))) for field, each in fields]
    about = f"<h3 id='{escape(name)}'>{escape(name)}</h3><p>{escape(schema.get('description', ''))}</p>"
    return f"<section>{about}{table(('field', 'kind', ''), rows)}</section>"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; its cells are HTML."""
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"


def line(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"
