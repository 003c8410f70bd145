"""The routes of a server as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crnn.deploy.serving.limits import MOST_FUTURE, MOST_TOP

ERRORS = {
    400: "The request cannot be read, or an option makes no sense.",
    401: "The token is missing or wrong.",
    403: "A page of another host asks.",
    408: "The request did not come in time.",
    413: "More than a limit allows: see /about.",
    415: "A file whose ending the network does not read.",
    421: "The host is not this server's.",
    422: "The only sample of the request cannot be answered.",
    500: "A mistake of the server.",
    503: "Too many samples wait, or the server stops or hangs; ask again after Retry-After seconds.",
    504: "There was no answer in time.",
}


def document(about: Mapping[str, Any], *, token: bool) -> dict[str, Any]:
    """The document of a server that is ``about`` so (``Service.about``)."""
    task = about["task"]
    paths = {
        f"/{task}": {"post": _ask(about)},
        "/about": {"get": _get("What is served: task, inputs, limits.", {"type": "object"})},
        "/health": {"get": _get("Whether the server lives: 503 while a batch hangs.", {}, 503, open=True)},
        "/ready": {
            "get": _get("Whether it answers: 503 before it is warm, while it stops or hangs.", {}, 503, open=True),
        },
        "/metrics": {
            "get": {
                "summary": "Counters for Prometheus.",
                "responses": {"200": {"description": "Text.", "content": {"text/plain": {}}}},
            }
        },
    }
    said = f"A network of crnn ({about['model']}) for {task}."
    if about["listens"]:
        said += (
            " The socket /listen?rate=16000 takes 16-bit little-endian samples as binary messages and gives "
            '{"text": so far} after each; the text message end gives {"answer": {...}} and closes.'
        )
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": f"crnn: {about['name']}", "version": about["version"], "description": said},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    return made


def _ask(about: Mapping[str, Any]) -> dict[str, Any]:
    """The route that answers."""
    inputs = about["inputs"]
    texts = [one for one in inputs if one["text"]]
    query = [
        _query("top", "integer", 1, f"Answers of each sample, at most {MOST_TOP}, where the task has several."),
        _query("future", "integer", 0, f"Frames to foretell, at most {MOST_FUTURE}; 0 as many as in training."),
        _query("html", "boolean", False, "Whether each answer has html, a fragment for people to look at."),
    ]
    if len(inputs) > 1:
        names = [one["name"] for one in inputs]
        form = {"type": "object", "properties": {name: BINARY for name in names}, "required": names}
        content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    else:
        endings = ", ".join(inputs[0]["suffixes"])
        files = {"type": "array", "items": BINARY, "description": f"Files in {endings}."}
        form = {"type": "object", "properties": {"file": files}}
        content = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": BINARY}}
        query.append({**_query("name", "string", None, "The file's name, where the body is the file itself.")})
        if texts:
            one, many = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
            schema = {"type": "object", "properties": {"text": one, "texts": many}}
            content["application/json"] = {"schema": schema}
    errors = {str(code): _error(text) for code, text in ERRORS.items()}
    answers = {"type": "object", "properties": {"answers": {"type": "array", "items": _ref("Answer")}}}
    ok = {"description": "An answer, or an error, for each sample, in order.", "content": _json(answers)}
    return {
        "summary": f"Answers of {about['model']} for {about['task']}.",
        "operationId": about["task"],
        "parameters": query,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": ok, **errors},
    }


def _get(summary: str, schema: Mapping[str, Any], *more: int, open: bool = False) -> dict[str, Any]:
    responses = {"200": {"description": "So it is.", "content": _json(schema)}}
    responses |= {str(code): {"description": ERRORS[code]} for code in more}
    return {"summary": summary, "responses": responses, **({"security": []} if open else {})}


def _query(name: str, type: str, default: Any, description: str) -> dict[str, Any]:
    schema = {"type": type} if default is None else {"type": type, "default": default}
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": _json({"type": "object", "properties": {"error": _ref("Error")}})}


BINARY: Mapping[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
SCHEMAS: Mapping[str, Any] = {
    "Error": {
        "type": "object",
        "description": "What was given, what was expected, what to do, and of which file.",
        "properties": {name: {"type": "string"} for name in ("given", "expected", "do", "file")},
        "required": ["given", "expected", "do"],
    },
    "Answer": {
        "type": "object",
        "description": "The keys that crnn predict --json prints for the task, or an error in their place.",
        "properties": {"id": {"type": "string"}, "html": {"type": "string"}, "error": _ref("Error")},
        "required": ["id"],
    },
}
