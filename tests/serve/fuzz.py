"""Asks the API whatever its description allows, and what it does not: no answer may be a failure of the server.

python tests/serve/fuzz.py RUN [--data DIR] [--requests 2000] [--seed 0]   prints the share of 2xx of each operation
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

Schema = dict[str, Any]
#: Share of requests that keep to the description.
KEPT = 0.6
STRANGE: tuple[Any, ...] = (
    *("", "0", "-1", "1e400", "NaN", "\0", "..", "../../etc/passwd", "<script>alert(1)</script>", "' OR 1=1 --"),
    *("é" * 2000, "9" * 400, "%00", "{{7*7}}", "${x}", "\u202e", "\r\nset-cookie: a=b", None, True, [], {}, -1, 10**30),
    *(1e308, [[]], {"rows": [None]}, "٣", "run", "upload", "desc"),
)


@dataclass
class Found:
    """``answers`` (operation, status) -> how often; ``wrong`` what no answer should be."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        """Operation -> share of its answers that are 2xx."""
        names = sorted({name for name, _ in self.answers})
        whole = {name: sum(count for (one, _), count in self.answers.items() if one == name) for name in names}
        good = {
            name: sum(n for (one, status), n in self.answers.items() if one == name and status < 300) for name in names
        }
        return {name: good[name] / whole[name] for name in names}


class Fuzz:
    """Requests drawn from a seed, sent by ``client`` to the API that it describes."""

    def __init__(self, client: TestClient, seed: int, samples: bytes) -> None:
        self.client, self.random, self.samples = client, np.random.Generator(np.random.PCG64(seed)), samples
        self.api: Schema = client.get("/api/openapi.json").json()
        self.operations = [
            (path, method, one) for path, methods in self.api["paths"].items() for method, one in methods.items()
        ]

    def run(self, requests: int) -> Found:
        """So many requests, operation after operation."""
        found = Found()
        for number in range(requests):
            path, method, operation = self.operations[number % len(self.operations)]
            self._ask(path, method, operation, found)
        return found

    def _ask(self, path: str, method: str, operation: Schema, found: Found) -> None:
        kept = self.random.random() < KEPT
        query: list[tuple[str, str]] = []
        for one in operation["parameters"]:
            wild = not kept and self.random.random() < 0.5
            value = self._strange() if wild else self._value(one["schema"])
            text = value if isinstance(value, str) else json.dumps(value)
            if one["in"] == "path":
                path = path.replace("{" + one["name"] + "}", quote(text, safe=""))
            elif self.random.random() < 0.4 and (wild or one["name"] not in ("class", "of")):
                query.append((one["name"], text))
        body = self._body(operation, kept) if "requestBody" in operation else {}
        name = operation["operationId"]
        answer = self.client.request(method, path, params=query, **body)
        found.answers[name, answer.status_code] += 1
        told = f"{name} {answer.status_code} {path[:80]} {str(query)[:200]} {str(body)[:300]}: {answer.text[:300]}"
        if answer.status_code >= 500 or "Traceback" in answer.text or "set-cookie: a=b" in str(answer.headers):
            found.wrong.append(told)
        elif not self._fits(operation, answer.status_code, answer.headers["content-type"], answer.text):
            found.wrong.append(f"not as described: {told}")

    def _fits(self, operation: Schema, status: int, kind: str, text: str) -> bool:
        content = operation["responses"].get(str(status), {}).get("content", {})
        plain = kind.partition(";")[0]
        if plain not in content:
            return status in (404, 405) and plain == "application/json"
        if plain != "application/json":
            return True
        schema = content[plain]["schema"] | {"components": self.api["components"]}
        return bool(Draft202012Validator(schema).is_valid(json.loads(text)))

    def _body(self, operation: Schema, kept: bool) -> dict[str, Any]:
        kinds = operation["requestBody"]["content"]
        if "multipart/form-data" in kinds and self.random.random() < 0.4:
            return {"files": {"file": self._file(kept)}}
        schema = kinds["application/json"]["schema"]
        if kept:
            return {"json": self._value(schema)}
        chance = self.random.random()
        if chance < 0.3:
            return {
                "content": bytes(self.random.integers(0, 256, 60, np.uint8)),
                "headers": {"content-type": "application/json"},
            }
        if chance < 0.5:
            return {"json": self._strange()}
        return {"json": self._spoiled(self._value(schema))}

    def _file(self, kept: bool) -> tuple[str, bytes]:
        if kept:
            return "samples.csv", self.samples
        damaged = bytearray(self.samples)
        for place in self.random.integers(0, len(damaged), 5):
            damaged[place] = self.random.integers(0, 256)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as into:
            into.writestr(
                str(self._choice(["samples.csv", "../samples.csv", "a/b/samples.csv", "study.toml"])), bytes(damaged)
            )
        name, content = [
            ("samples.csv", bytes(damaged)),
            ("samples.parquet", bytes(damaged)),
            ("samples.csv.gz", bytes(damaged)),
            ("tables.zip", packed.getvalue()),
            ("tables.zip", packed.getvalue()[:-20]),
            (str(self._strange()) or "x", bytes(damaged)),
        ][self.random.integers(6)]
        return name, content

    def _spoiled(self, value: Any) -> Any:
        """The value with one part exchanged for something strange."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            name = self._choice(list(value))
            key = str(self._strange()) if self.random.random() < 0.2 else name
            return {**value, key: self._spoiled(value[name])}
        if isinstance(value, list) and value and self.random.random() < 0.8:
            return [self._spoiled(value[0]), *value[1:]]
        return self._strange()

    def _value(self, schema: Schema) -> Any:
        """Something that a schema allows."""
        if "enum" in schema:
            return self._choice(schema["enum"])
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        kind = self._choice(kinds)
        if kind == "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
            return int(self.random.integers(low, min(high, low + 200) + 1))
        if kind == "number":
            return float(
                self._choice([0, 1, -3.5, 63.25, 1e6, 1e-9, schema.get("maximum", 7), schema.get("minimum", 7)])
            )
        if kind == "object":
            names = list(schema.get("properties", {}))
            needed = set(schema.get("required", ())) | ({self._choice(names)} if schema.get("minProperties") else set())
            chosen = [name for name in names if name in needed or self.random.random() < 0.7]
            return {name: self._value(schema["properties"][name]) for name in chosen}
        if kind == "array":
            return [
                self._value(schema["items"]) for _ in range(int(self.random.integers(schema.get("minItems", 0), 4)))
            ]
        return {"string": "text", "null": None, "boolean": True}[kind]

    def _strange(self) -> Any:
        return STRANGE[self.random.integers(len(STRANGE))]

    def _choice(self, values: list[Any]) -> Any:
        return values[self.random.integers(len(values))]


def report(found: Found) -> str:
    """The share of 2xx of each operation, and what went wrong."""
    statuses = {
        name: sorted((s, n) for (one, s), n in found.answers.items() if one == name) for name, _ in found.answers
    }
    lines = [
        f"{name:<14} {share:6.1%}  " + ", ".join(f"{status}: {count}" for status, count in statuses[name])
        for name, share in found.shares().items()
    ]
    return "\n".join([*lines, *found.wrong[:20]])


def main() -> int:
    """Fuzz a run that is served here, without a socket."""
    from m3h.serve.app import make
    from m3h.serve.guard import Access
    from m3h.serve.served import load

    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--samples", type=Path, required=True, help="a CSV of the study's samples")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    token = "a-token-of-many-letters"
    app = make(load(asked.run, data=asked.data), Access(frozenset({"127.0.0.1"}), 8000, token=token))
    client = TestClient(app, base_url="http://127.0.0.1:8000", headers={"authorization": f"Bearer {token}"})
    found = Fuzz(client, asked.seed, asked.samples.read_bytes()).run(asked.requests)
    print(report(found))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
