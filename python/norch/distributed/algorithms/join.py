"""Uneven inputs of several processes, of which there is one here."""

from __future__ import annotations

from typing import Any

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process does once it has no inputs left: never called, since no process waits for another."""

    def main_hook(self) -> None:
        """Called for every step of the others."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called when all are done."""


class Joinable:
    """Base of what Join can take."""


class Join:
    """A context in which processes may have different numbers of inputs."""

    def __init__(self, joinables: list[Any], enable: bool = True, throw_on_early_termination: bool = False, **_: Any) -> None:
        if len(joinables) == 0:
            raise ValueError("The join context manager requires at least one joinable")
        self._joinables = joinables

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        pass

    @staticmethod
    def notify_join_context(joinable: Any) -> None:
        """None: there is no other process to tell."""
