"""How a missing package is installed, in words that help with pip and without it."""

from __future__ import annotations


def installing(package: str, *, again: bool = False) -> str:
    """The next step of somebody who lacks ``package``, such as ``m3h[ray]``; ``again``: its files are damaged.

    Environments made by uv, as that of ``make install``, have no pip.
    """
    pip = "pip install --force-reinstall" if again else "pip install"
    uv = "uv pip install --reinstall" if again else "uv pip install"
    return f"{pip} '{package}' (where there is no pip: {uv} '{package}')"


def extra(name: str) -> str:
    """The next step of somebody who lacks an extra of this library; ``make install`` in a clone installs all."""
    return f"{installing(f'm3h[{name}]')}; in a clone, make install installs every extra"
