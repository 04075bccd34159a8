"""The scenarios by name: one per system, small, and the city that holds them all."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from streams.simulator import (
    calls,
    card_velocity,
    city_units,
    fraud_caller,
    journeys,
    meters,
    payments,
    scenic_flow,
    venue_energy,
    venue_nights,
    wangiri,
)
from streams.simulator.arrival import ARRIVAL, FORMS, arriving
from streams.simulator.places import open_city
from streams.simulator.population import SUBSCRIBERS, subscribers
from streams.simulator.setting import EVENING, HOUR, Setting
from streams.simulator.simulation import Part, Simulation, label_rows, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its id, a sentence, the topology that judges it, and how its parts come about."""

    id: str
    says: str
    topology: str
    build: Callable[[Setting], Part]
    start: int = EVENING
    minutes: int = 120


def _city(setting: Setting) -> Part:
    people = setting.scaled(SUBSCRIBERS, 2_000)
    return merge(
        [
            open_city(setting.scale),
            Part({"signaling": journeys.ordinary(subscribers(people), setting)}),
            calls.ordinary(people, setting.scaled(calls.CALLS), setting),
            payments.terminals(setting),
            payments.ordinary(setting.scaled(payments.CARDS, 100), setting.scaled(payments.PAYMENTS), setting),
            meters.ordinary(setting.scaled(meters.VENUES), setting),
            fraud_caller.incidents(setting, people, each=3),
            wangiri.incidents(setting, people, bursts=6),
            card_velocity.incidents(setting, rounds=9),
            scenic_flow.incidents(setting, areas=6),
            city_units.incidents(setting, halls=5, towers=1),
            venue_energy.incidents(setting, courses=venue_energy.IN_DAYLIGHT),
        ]
    )


def _telephony(setting: Setting) -> tuple[int, Part]:
    people = setting.scaled(3_000, 500)
    return people, calls.ordinary(people, setting.scaled(15_000), setting)


def _fraud_caller(setting: Setting) -> Part:
    people, traffic = _telephony(setting)
    return merge([traffic, fraud_caller.incidents(setting, people, each=5)])


def _wangiri(setting: Setting) -> Part:
    people, traffic = _telephony(setting)
    return merge([traffic, wangiri.incidents(setting, people)])


def _card_velocity(setting: Setting) -> Part:
    traffic = payments.ordinary(setting.scaled(3_000, 100), setting.scaled(15_000), setting)
    return merge([payments.terminals(setting), traffic, card_velocity.incidents(setting, times=2)])


def _scenic_flow(setting: Setting) -> Part:
    people = subscribers(setting.scaled(1_500, 10))
    return merge(
        [
            open_city(setting.scale),
            Part({"signaling": journeys.ordinary(people, setting)}),
            scenic_flow.incidents(setting),
        ]
    )


def _city_units(setting: Setting) -> Part:
    people = subscribers(setting.scaled(1_500, 10))
    return merge(
        [
            open_city(setting.scale),
            Part({"signaling": journeys.ordinary(people, setting)}),
            city_units.incidents(setting),
        ]
    )


def _venue_energy(setting: Setting) -> Part:
    return merge([meters.ordinary(setting.scaled(250), setting), venue_energy.incidents(setting)])


_ALL = (
    Scenario("city", "two hours of a small city, with all that can happen in it", "topology.yaml", _city),
    Scenario("fraud-caller", "listed numbers call people", "topologies/fraud-caller.yaml", _fraud_caller),
    Scenario("wangiri", "one ring, and who calls back pays", "topologies/wangiri.yaml", _wangiri),
    Scenario("card-velocity", "cards used too often, or too far", "topologies/card-velocity.yaml", _card_velocity),
    Scenario("scenic-flow", "scenic areas that fill", "topologies/scenic-flow.yaml", _scenic_flow),
    Scenario("city-units", "halls and towers that fill", "topologies/city-units.yaml", _city_units),
    Scenario(
        "venue-energy", "venues that use too much for the hour", "topologies/venue-energy.yaml", _venue_energy,
        start=EVENING + 3 * HOUR, minutes=360,
    ),
    Scenario(
        "venue-night-load", "venues where something stays on by night", "topologies/venue-energy.yaml",
        venue_nights.scene, start=EVENING - 5 * HOUR, minutes=venue_nights.NIGHTS * 24 * 60,
    ),
)  # fmt: skip

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.id: scenario for scenario in _ALL})
"""All scenarios by id; the ids are those of the systems they show."""


def generate(
    scenario: str, seed: int, *, scale: float = 1.0, late: float = 0.0, start: int | None = None
) -> Simulation:
    """Give the streams, tables and labels of a scenario.

    `seed`: at least 0; the same seed gives the same rows. `scale`: ordinary traffic against the scenario's own; what is
    labelled stays as it is. `late`: share of records that come beyond their stream's lateness. `start`: when event
    times begin, ms since the epoch, a full hour; by default the scenario's own evening.
    Raises KeyError for a scenario that is not in SCENARIOS.
    """
    chosen = SCENARIOS[scenario]
    setting = Setting(seed, chosen.start if start is None else start, chosen.minutes, scale)
    part = chosen.build(setting)
    streams = {name: arriving(name, part.streams[name], setting, late) for name in FORMS if name in part.streams}
    arrivals = {name: rows[ARRIVAL] for name, rows in streams.items()}
    records = {name: rows.drop(ARRIVAL) for name, rows in streams.items()}
    begin = min(setting.start, *(_least_time(rows) for rows in part.streams.values()))
    return Simulation(records, dict(part.tables), label_rows(part.labels), arrivals, begin)


def _least_time(rows: pl.DataFrame) -> int:
    return int(rows.select(pl.col("time").min()).item())
