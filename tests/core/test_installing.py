"""What somebody types who lacks a package, with pip and without."""

from __future__ import annotations

import re

import pytest

from m3h.core.installing import extra, installing


@pytest.mark.parametrize("again", [False, True])
def test_both_ways_name_the_same_package_and_exist(again: bool) -> None:
    """--force-reinstall is pip's word, --reinstall that of uv."""
    found = re.findall(r"((?:uv )?pip install) ?(--[a-z-]+)? '([^']+)'", installing("one", again=again))
    assert [way for way, _, _ in found] == ["pip install", "uv pip install"]
    assert [word for _, word, _ in found] == (["--force-reinstall", "--reinstall"] if again else ["", ""])
    assert {package for _, _, package in found} == {"one"}


def test_an_extra_is_one_that_the_project_has() -> None:
    from importlib.metadata import metadata

    known = metadata("m3h").get_all("Provides-Extra") or []
    for name in ("minilm", "mlflow", "postgres", "ray"):
        assert name in known and f"'m3h[{name}]'" in extra(name)
    assert "make install" in extra("ray")
