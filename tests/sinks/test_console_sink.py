"""`console`: lines for people."""

from __future__ import annotations

import io

from transition_rows import frame, log, transition

from sinks.console import ConsoleSink


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(*rows: dict[str, object], language: str = "en", stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    sink = ConsoleSink(stream, language)
    sink.open()
    sink.deliver(frame(*rows))
    sink.close()
    return stream.getvalue()


class TestLines:
    """A line says when, how bad, what, which rule, who, why."""

    def test_a_raised_alert(self) -> None:
        assert shown(transition("a", 1)) == (
            "2020-01-01 00:00:01Z  RED     raised         card-velocity  card=a  Card paid often\n"
        )

    def test_a_cleared_alert_says_why(self) -> None:
        assert shown(transition("a", 2, "clear")) == (
            "2020-01-01 00:00:02Z  clear   cleared        card-velocity  card=a  (reset)\n"
        )

    def test_an_early_copy_is_marked(self) -> None:
        assert "raised early" in shown(transition("a", 1, early=True))

    def test_the_language_is_chosen_and_another_stands_in(self) -> None:
        says = '{"en":"often","zh":"经常"}'
        assert shown(transition("a", 1, says=says), language="zh").endswith("经常\n")
        assert shown(transition("a", 1, says=says), language="de").endswith("often\n")

    def test_what_events_bring_cannot_move_the_cursor(self) -> None:
        text = shown(transition("a", 1, says="x\x1b[2J\ny", entity='{"card":"\\u001b[1m"}'))
        assert "\x1b" not in text
        assert text.count("\n") == 1

    def test_the_stream_stays_open(self) -> None:
        stream = io.StringIO()
        sink = ConsoleSink(stream)
        sink.open()
        sink.deliver(log("a1"))
        sink.close()
        assert not stream.closed


class TestTerminal:
    """Colour only where a person looks."""

    def test_a_terminal_gets_colour_and_no_markup_is_read(self) -> None:
        text = shown(transition("a", 1, says="[bold]x[/bold]"), stream=Terminal())
        assert "[bold]x[/bold]" in text
        assert text.startswith("\x1b[")
