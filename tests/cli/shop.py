"""A small shop: one topology and messy records for it, and the command line as a user starts it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

from streams.sources.contract import RECORD_MOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOPOLOGY = """
topology: {name: shop}
streams:
  payments:
    topic: shop.payment.v1
    id: payment_id
    time: {field: at, lateness: 10s}
    fields: {payment_id: string, at: timestamp, card: string, amount: decimal(2), place: string}
    checks: {positive: amount > 0}
features:
  all:
    from: payments
    by: card
    windows: {tumbling 1m: {payments: count()}}
  pace:
    from: payments
    by: card
    windows: {trailing 10m: {payments: count(), spent: sum(amount)}}
rules:
  busy:
    from: all
    levels: {blue: payments >= 3}
    says: "{payments} payments in a minute"
  pace:
    from: pace
    parameters: {many: 6 payments}
    levels: {yellow: {when: payments >= many, reset: payments < 3}, red: spent > 2000}
    keep: 20m
    says: "{payments} payments, {spent} spent"
  large:
    from: payments
    entity: [card]
    levels: {red: amount >= 490}
    keep: 1h
    says: "one payment of {amount}"
"""
BEGIN = 1_772_442_000_000
"""2026-03-02 09:00 UTC."""


def payment(number: int, at: int | str, card: str | None, amount: object = "20.00", **more: object) -> bytes:
    """Give a record as a line."""
    record = {"payment_id": f"p{number}", "at": at, "card": card, "amount": amount, "place": "x", **more}
    return json.dumps(record).encode()


def payments(count: int, seed: int, *, cards: int = 40) -> list[bytes]:
    """Give records over two hours, disordered within the lateness, some late, doubled, dead, or without a card."""
    dice = random.Random(seed)  # noqa: S311  # no secrets
    lines: list[tuple[float, bytes]] = []
    for number in range(count):
        at = BEGIN + number * 7_200_000 // count
        card = f"c{dice.randrange(cards) if dice.random() < 0.6 else number // 40 % cards}"
        amount = f"{dice.choice([5, 20, 80, 300, 500])}.{dice.randrange(100):02d}"
        arrival = at + dice.uniform(0, 9_000)
        fate = dice.random()
        if fate < 0.01:
            arrival += 60_000
        elif fate < 0.02:
            amount = "-1.00"
        elif fate < 0.03:
            amount = "a lot"
        line = payment(number, at, None if fate > 0.98 else card, amount)
        lines.append((arrival, line))
        if 0.5 < fate < 0.53:
            lines.append((arrival + 5, line))
    return [line for _, line in sorted(lines)]


def write_shop(folder: Path, count: int = 1_500, seed: int = 1) -> Path:
    """Write `shop.yaml` and `payments.ndjson`; give the folder."""
    (folder / "shop.yaml").write_text(TOPOLOGY)
    (folder / "payments.ndjson").write_bytes(b"".join(line + b"\n" for line in payments(count, seed)))
    return folder


def tocsin(
    folder: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, to its end."""
    command = [sys.executable, "-m", "tocsin.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a folder."""
    command = [sys.executable, "-m", "tocsin.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


RUN = ("run", "shop.yaml", "--source", "payments=ndjson:payments.ndjson", "--sink", "ndjson:alerts.ndjson")

__all__ = ["BEGIN", "RECORD_MOST", "RUN", "TOPOLOGY", "payment", "payments", "start", "tocsin", "write_shop"]
