"""The ranks of a training: each tells the first one its rows, which adds them up when all are there, and writes.

Rows go by way of the store through which the process group was made, and never by a collective operation. That would be
paired with one of the training's own as soon as one rank has no recorder, logs less often or ends with an exception, and
then abort it or hang. A store has no such order: a rank that tells nothing is waited for a moment, and then left out.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from gradlens.recorder.rows import Fetched
from gradlens.recorder.shards import MEANS, PRODUCTS, SUMS, ShardKey, ranks_of

_log = logging.getLogger("gradlens.recorder")
#: Seconds between two looks at the store.
LOOK_SECONDS = 0.002
#: Rows that wait for a rank. Then it is left out: it has no recorder, does not log, or has gone.
MAX_WAITING = 100
#: Tellings that a rank leaves in the store before it asks whether anybody reads them.
MAX_UNREAD = 5

_made = itertools.count()


class Ranks:
    """The ranks of a training, or one process alone.

    Parameters
    ----------
    group
        The process group whose ranks have different parts of a batch; None for all.
    notice
        Told in one line, with its kind, when ranks are missing.
    """

    def __init__(self, group: Any = None, notice: Callable[[str, str], None] | None = None) -> None:
        dist = torch.distributed
        self.are_many = dist.is_available() and dist.is_initialized() and dist.get_world_size(group) > 1
        self.rank = dist.get_rank() if self.are_many else 0
        self.is_first = self.rank == 0
        self._members: frozenset[int] = frozenset({0})
        self._notice = notice or (lambda _, message: _log.warning("%s", message))
        self._waiting: deque[Fetched] = deque()
        self._told: dict[int, deque[dict[str, Any]]] = {}
        self._last: dict[int, int] = {}
        self._n_read: dict[int, int] = {}
        self._n_sent = 0
        self._late: set[int] = set()
        self._gone: set[int] = set()
        if self.are_many:
            self._members = frozenset(
                range(dist.get_world_size()) if group is None else dist.get_process_group_ranks(group)
            )
            # Recorders are told apart by the order in which they are made, which is that of the program on every rank.
            self._prefix = f"gradlens/{next(_made)}"
            # Kept, so that rows reach the first rank when the process group is destroyed before the recorder closes.
            try:
                self._store = dist.distributed_c10d._get_default_store()  # noqa: SLF001 - PyTorch has no public name for it
                if self.is_first:
                    self._store.set(f"{self._prefix}/reads", "yes")
            except (AttributeError, RuntimeError, ValueError) as error:
                self.are_many = False
                self._notice(
                    "ranks-apart", f"only what rank 0 sees is recorded, the ranks have no store in common: {error}"
                )

    def add(self, rows: Sequence[Fetched], keys: Sequence[ShardKey | None]) -> None:
        """Rows of this rank: told to the first one, or kept there until the others' have come."""
        if self.is_first:
            self._waiting.extend(rows)
        elif rows and self.are_many and self._is_read():
            data = json.dumps([_told(row, keys) for row in rows])
            try:
                self._store.set(f"{self._prefix}/{self.rank}/{self._n_sent}", data)
            except RuntimeError:  # the first rank, or what keeps the store, has gone: nobody writes any more
                _log.debug("rows could not be told to the first rank", exc_info=True)
            self._n_sent += 1

    def _is_read(self) -> bool:
        """Whether the first rank has a recorder: without one, nobody would take away what is told."""
        if self._n_sent < MAX_UNREAD or self._store.check([f"{self._prefix}/reads"]):
            return True
        self._notice(
            "nobody-writes", "rank 0 made no recorder: nothing is written; make it on every rank, or on rank 0"
        )
        return False

    def ready(
        self, keys: Sequence[ShardKey | None], names: Sequence[str], *, wait_s: float, all_of_them: bool = False
    ) -> list[tuple[Fetched, dict[str, float]]]:
        """Rows of the first rank that all others have told theirs of, with their columns over all ranks.

        Parameters
        ----------
        keys
            The shard groups of the training's parameters, in the same order on every rank.
        names
            Norms and products that rows may hold.
        wait_s
            Seconds to wait for ranks that are behind; one that was waited for in vain is not again until it tells something.
        all_of_them
            Give those that no rank will tell any more of, too.
        """
        if not self.are_many:
            rows, self._waiting = self._waiting, deque()
            return [(row, row.values | row.means | row.sums | _joined(row, {}, names)) for row in rows]
        if not self.is_first:
            return []
        blocks = {place: (key, ranks_of(key)) for place, key in enumerate(keys) if key is not None}
        others = set(self._members).union(*(ranks for _, ranks in blocks.values())) - {0} - self._gone
        is_deaf = False
        if all_of_them:
            self._late = set()
        try:
            self._listen(others, wait_s)
        except RuntimeError:
            _log.debug("rows of other ranks could not be read", exc_info=True)
            is_deaf = True
        lacking = self._lacking(others)
        if (is_deaf or len(self._waiting) > MAX_WAITING) and lacking:
            self._gone |= lacking
            others -= lacking
            some = ", ".join(map(str, sorted(lacking)[:8])) + (" and others" if len(lacking) > 8 else "")
            self._notice(
                "ranks-missing",
                f"rank {some} told no rows for {len(self._waiting)} steps and is left out, and sums over ranks "
                "with it: make the recorder on every rank, and log there",
            )
        found = []
        while self._waiting and (all_of_them or not self._lacking(others)):
            row = self._waiting.popleft()
            parts = {rank: part for rank in others if (part := self._part_of(rank, row.index)) is not None}
            found.append((row, self._column(row, parts, blocks, names)))
        return found

    def _lacking(self, others: Iterable[int]) -> set[int]:
        """The ranks that have not told of the row that waits longest."""
        first = self._waiting[0].index if self._waiting else -1
        return {rank for rank in others if self._last.get(rank, -1) < first}

    def _behind(self, others: Iterable[int]) -> set[int]:
        """The ranks that have not told of all rows that wait."""
        last = self._waiting[-1].index if self._waiting else -1
        return {rank for rank in others if self._last.get(rank, -1) < last}

    def _listen(self, others: set[int], wait_s: float) -> None:
        """Take from the store what is there, and wait for what is not."""
        until, before = time.monotonic() + wait_s, dict(self._n_read)
        while awaited := self._behind(others) - self._late:
            # One question for all of them: there may be thousands.
            if self._store.check([self._key(rank) for rank in awaited]):
                for rank in awaited:
                    self._read(rank)
            elif time.monotonic() >= until:
                break
            else:
                time.sleep(LOOK_SECONDS)
        for rank in self._behind(others):
            while self._store.check([self._key(rank)]):
                self._read(rank)
        self._late = {rank for rank in self._behind(others) if self._n_read.get(rank) == before.get(rank)}

    def _key(self, rank: int) -> str:
        return f"{self._prefix}/{rank}/{self._n_read.get(rank, 0)}"

    def _read(self, rank: int) -> None:
        key = self._key(rank)
        rows = json.loads(self._store.get(key))
        self._told.setdefault(rank, deque()).extend(rows)
        self._last[rank] = rows[-1]["index"]
        self._store.delete_key(key)
        self._n_read[rank] = self._n_read.get(rank, 0) + 1

    def _part_of(self, rank: int, index: int) -> dict[str, Any] | None:
        """What a rank told of one row; None where it has none, as its log failed."""
        told = self._told.get(rank, deque())
        while told and told[0]["index"] < index:
            told.popleft()
        return told.popleft() if told and told[0]["index"] == index else None

    def _column(
        self, row: Fetched, parts: dict[int, dict[str, Any]], blocks: dict[int, tuple[ShardKey, frozenset[int]]],
        names: Sequence[str],
    ) -> dict[str, float]:  # fmt: skip
        found = row.values | {name: v for name, v in (row.means | row.sums).items() if name not in (*MEANS, *SUMS)}
        everyone = {0: _told(row, [key for key, _ in blocks.values()]), **parts}
        shared = [part for rank, part in everyone.items() if rank in self._members]
        for name in MEANS:
            values = [part["means"][name] for part in shared if name in part["means"]]
            if values:
                found[name] = sum(values) / len(values)
        for name in SUMS:
            values = [part["sums"][name] for part in shared if name in part["sums"]]
            if values and len(shared) == len(self._members):
                found[name] = sum(values)
        tables = {}
        for place, (key, ranks) in blocks.items():
            own = row.norms.get(key, {}), row.products.get(key, {})
            tables[key] = (
                [own, *(parts[rank]["parts"].get(str(place), ({}, {})) for rank in ranks if rank in parts)],
                len(ranks),
            )
        return found | _joined(row, tables, names)


def _told(row: Fetched, keys: Sequence[ShardKey | None]) -> dict[str, Any]:
    """What other ranks need of a row: its parts of the batch, and of tensors that are cut up."""
    return {
        "index": row.index,
        "means": {name: v for name, v in row.means.items() if name in MEANS},
        "sums": {name: v for name, v in row.sums.items() if name in SUMS},
        "parts": {
            str(place): (row.norms.get(key, {}), row.products.get(key, {}))
            for place, key in enumerate(keys)
            if key is not None
        },
    }


def _joined(row: Fetched, tables: dict[Any, tuple[list[Any], int]], names: Sequence[str]) -> dict[str, float]:
    """Norms and products of one row, over all shard groups."""
    found: dict[str, float] = {}
    norms, products = row.norms.get(None, {}), row.products.get(None, {})
    for name in names:
        is_product = name in PRODUCTS
        whole = products.get(name) if is_product else norms.get(name)
        rest, is_partly, is_known = 0.0, False, whole is not None
        for parts, size in tables.values():
            values = [table[name] for own in parts if name in (table := own[1] if is_product else own[0])]
            rest += sum(values) if is_product else sum(value**2 for value in values)
            # A rank that could not measure its shard, or is gone, makes the whole unknown.
            is_partly = is_partly or 0 < len(values) < size
            is_known = is_known or bool(values)
        if is_partly or not is_known:
            continue
        if is_product:
            found[name] = (whole or 0.0) + rest
        else:
            # Alone, the norm as it is: squaring and rooting would cost its last digit.
            found[name] = whole if not tables and whole is not None else math.sqrt((whole or 0.0) ** 2 + rest)
    return found
