"""Stores: keys and values that the processes of a group share. With one process that is a dict."""

from __future__ import annotations

import datetime
import threading
from typing import Any

__all__ = ["FileStore", "HashStore", "PrefixStore", "Store", "TCPStore"]


class Store:
    """Keys and values; values are bytes. `get` and `wait` wait for a key until the timeout (RuntimeError)."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._timeout = datetime.timedelta(seconds=300)

    @property
    def timeout(self) -> datetime.timedelta:
        """How long get and wait wait."""
        return self._timeout

    def set_timeout(self, timeout: datetime.timedelta) -> None:
        """Sets how long get and wait wait."""
        self._timeout = timeout

    def set(self, key: str, value: str | bytes) -> None:
        """Puts a value."""
        with self._changed:
            self._values[key] = value.encode() if isinstance(value, str) else bytes(value)
            self._changed.notify_all()

    def get(self, key: str) -> bytes:
        """The value of a key, once there is one."""
        self.wait([key])
        with self._changed:
            return self._values[key]

    def add(self, key: str, amount: int) -> int:
        """Adds to the number that a key holds, 0 at first, and returns it."""
        with self._changed:
            total = int(self._values.get(key, b"0")) + amount
            self._values[key] = str(total).encode()
            self._changed.notify_all()
            return total

    def append(self, key: str, value: str | bytes) -> None:
        """Adds to the end of a key's value."""
        with self._changed:
            self._values[key] = self._values.get(key, b"") + (value.encode() if isinstance(value, str) else bytes(value))
            self._changed.notify_all()

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """Puts `desired_value` where the key holds `expected_value`, or "" where there is no key; returns what it holds."""
        with self._changed:
            have = self._values.get(key)
            if (have is None and expected_value == "") or have == expected_value.encode():
                self._values[key] = desired_value.encode()
                self._changed.notify_all()
            return self._values.get(key, expected_value.encode())

    def check(self, keys: list[str]) -> bool:
        """Whether there are these keys."""
        with self._changed:
            return all(k in self._values for k in keys)

    def wait(self, keys: list[str], timeout: datetime.timedelta | None = None) -> None:
        """Waits until there are these keys."""
        seconds = (timeout or self._timeout).total_seconds()
        with self._changed:
            if not self._changed.wait_for(lambda: all(k in self._values for k in keys), seconds):
                raise RuntimeError(f"wait timeout after {int(seconds * 1000)}ms, keys: {', '.join(keys)}")

    def delete_key(self, key: str) -> bool:
        """Takes a key away; whether there was one."""
        with self._changed:
            return self._values.pop(key, None) is not None

    def num_keys(self) -> int:
        """The number of keys."""
        with self._changed:
            return len(self._values)


class HashStore(Store):
    """A store for the threads of a process."""


def _one(name: str, world_size: int | None) -> None:
    if world_size is not None and world_size > 1:
        raise RuntimeError(f"{name}: norch does not spread work over processes yet, and the group is to have {world_size}")


class TCPStore(Store):
    """A store that processes reach by a port: of this one process here, and no port is opened."""

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: datetime.timedelta = datetime.timedelta(seconds=300),
        wait_for_workers: bool = True,
        **options: Any,
    ) -> None:
        _one("TCPStore", world_size)
        super().__init__()
        self.host, self.port, self._timeout = host_name, port, timeout


class FileStore(Store):
    """A store in a file: of this one process here, and no file is written."""

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        _one("FileStore", world_size)
        super().__init__()
        self.path = file_name


class PrefixStore(Store):
    """A store whose keys begin with a prefix in another one."""

    def __init__(self, prefix: str, store: Store) -> None:
        super().__init__()
        self._prefix, self.underlying_store = prefix, store

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def set(self, key: str, value: str | bytes) -> None:
        """Puts a value."""
        self.underlying_store.set(self._key(key), value)

    def get(self, key: str) -> bytes:
        """The value of a key, once there is one."""
        return self.underlying_store.get(self._key(key))

    def add(self, key: str, amount: int) -> int:
        """Adds to the number that a key holds, 0 at first, and returns it."""
        return self.underlying_store.add(self._key(key), amount)

    def append(self, key: str, value: str | bytes) -> None:
        """Adds to the end of a key's value."""
        self.underlying_store.append(self._key(key), value)

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """Puts `desired_value` where the key holds `expected_value`; returns what it holds."""
        return self.underlying_store.compare_set(self._key(key), expected_value, desired_value)

    def check(self, keys: list[str]) -> bool:
        """Whether there are these keys."""
        return self.underlying_store.check([self._key(k) for k in keys])

    def wait(self, keys: list[str], timeout: datetime.timedelta | None = None) -> None:
        """Waits until there are these keys."""
        self.underlying_store.wait([self._key(k) for k in keys], timeout)

    def delete_key(self, key: str) -> bool:
        """Takes a key away; whether there was one."""
        return self.underlying_store.delete_key(self._key(key))

    def num_keys(self) -> int:
        """The number of keys of the other store."""
        return self.underlying_store.num_keys()
