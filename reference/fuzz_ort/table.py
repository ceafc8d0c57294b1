"""The table of operators that graphs are made of. The files of families enter theirs with `operator`."""

from dataclasses import dataclass
from typing import Callable

TABLE = {}


@dataclass(frozen=True)
class Operator:
    name: str
    since: int
    until: int
    add: Callable

    def in_opset(self, opset):
        return self.since <= opset <= self.until


def operator(*names, since=1, until=99):
    """Enters operators whose nodes `add(draft, name)` adds."""

    def enter(add):
        for name in names:
            TABLE[name] = Operator(name, since, until, add)
        return add

    return enter
