"""Fixtures of this folder."""

from mini_mimic import mimic as mimic
