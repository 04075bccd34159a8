"""From text to a sqlglot tree of which every call is anonymous and every name is kept as written.

sqlglot knows hundreds of functions and keywords, and accepts far more than the language has: `x > 3s` as an alias,
`hour` as a node of its own, `range` as a keyword. So its tokens are put right before its parser sees them: a word that
is followed by `(` becomes a call marked with CALL, any other word that is no keyword of ours a quoted name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from tocsin.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CALL = "call:"
_SELECT = "select "
BRACKETS_MOST = 50
"""Levels of brackets: more are a mistake, and sqlglot's parser recurses."""
_QUANTITIES = "a quantity only as a whole YAML value: make it a parameter, `parameters: {limit: {value: 10m}}`"

KEYWORDS = frozenset(
    {
        *("and", "or", "not", "in", "is", "null", "true", "false", "between", "like", "ilike", "escape", "case"),
        *("when", "then", "else", "end", "distinct", "from", "filter", "where", "as"),
    }
)
_FORBIDDEN = {
    "select": "a subquery",
    "over": "a window function",
    "union": "a statement",
    "join": "a statement",
    "interval": "an interval",
    "exists": "a subquery",
}
_CLOCKS = frozenset({"now", "current_timestamp", "current_date", "current_time", "localtimestamp", "today", "getdate"})


@lru_cache(maxsize=1024)
def parse(text: str) -> exp.Expression:
    """Parse one expression; its tree may belong to others too and is not to be changed.

    Raises:
        ExpressionError: it is none, it is more than one, or it holds what the language leaves out.

    """
    if not text.strip():
        raise ExpressionError("the expression is empty", "an expression", code="empty")
    tokens = _tokens(text)
    _check_tokens(tokens)
    try:
        trees = Parser().parse(_marked(tokens), _SELECT + text)
    except SqlglotError as error:
        raise _syntax(error, text) from error
    return _only(trees, text)


def offset_of(node: exp.Expr) -> int:
    """Give where a node begins: the least place of its names and literals, in characters of the text."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return max(0, min(starts, default=len(_SELECT)) - len(_SELECT))


def call_name(node: exp.Expr) -> str:
    """Give the name of a call as written, "" for any other node."""
    if not isinstance(node, exp.Anonymous):
        return ""
    return str(node.this).removeprefix(CALL)


def path(node: exp.Expr) -> tuple[str, ...]:
    """Give the parts of a dotted name; empty for any other node."""
    if isinstance(node, exp.Column):
        return tuple(part.name for part in node.parts)
    if isinstance(node, exp.Dot):
        head = path(node.this)
        return (*head, node.expression.name) if head else ()
    return ()


def _tokens(text: str) -> list[Token]:
    try:
        return list(Tokenizer().tokenize(_SELECT + text))
    except SqlglotError as error:
        raise _syntax(error, text) from error


def _syntax(error: SqlglotError, text: str) -> ExpressionError:
    details = getattr(error, "errors", None) or [{}]
    where = str(details[0].get("highlight") or "")
    near = f" near {where!r}" if where else ""
    column = int(details[0].get("col") or 0)
    offset = max(0, min(column - len(_SELECT) - len(where), len(text)))
    return ExpressionError(f"{text!r} is no expression{near}", "one SQL expression", offset=offset, code="syntax")


def _start(token: Token) -> int:
    return int(token.start) - len(_SELECT)


def _is_word(token: Token) -> bool:
    return token.token_type not in {TokenType.STRING, TokenType.NUMBER} and (
        token.token_type is TokenType.IDENTIFIER or token.text[:1].isalpha() or token.text[:1] == "_"
    )


def _pairs(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token | None]]:
    for index, token in enumerate(tokens):
        yield token, tokens[index + 1] if index + 1 < len(tokens) else None


def _check_tokens(tokens: Sequence[Token]) -> None:
    if len(tokens) == 1:
        raise ExpressionError("a comment is no expression", "an expression", code="comment")
    for token, following in _pairs(tokens[1:]):
        _check_token(token, following)
    depth = 0
    for index, token in enumerate(tokens):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth > BRACKETS_MOST:
            what = f"more than {BRACKETS_MOST} levels of brackets"
            raise ExpressionError(what, "columns under `derive`", offset=_start(token), code="too-deep")
        if token.token_type is TokenType.NUMBER:
            _check_quantity(tokens[index : index + 3])


def _check_token(token: Token, following: Token | None) -> None:
    word = token.text.lower() if _is_word(token) and token.token_type is not TokenType.IDENTIFIER else ""
    if token.token_type is TokenType.SEMICOLON:
        raise ExpressionError("`;` ends a statement", "one expression", offset=_start(token), code="statement")
    if token.comments:
        raise ExpressionError("a comment inside an expression", "a YAML comment", offset=_start(token), code="comment")
    called = following is not None and following.token_type is TokenType.L_PAREN
    if word in _FORBIDDEN and called:
        what = f"{_FORBIDDEN[word]} is not part of the language"
        raise ExpressionError(what, "an expression on columns", offset=_start(token), code="not-in-language")
    if word == "select":
        what = "a subquery is not part of the language"
        raise ExpressionError(what, "an expression on columns", offset=_start(token), code="not-in-language")
    if word in _CLOCKS and (called or word.startswith("current_")):
        what = "an expression cannot ask for the time: its result would depend on when it runs"
        raise ExpressionError(what, "the event's time", offset=_start(token), code="clock")


def _check_quantity(tokens: Sequence[Token]) -> None:
    """Refuse `3s`, `5 km` and `80%`, which sqlglot takes for aliases and half a modulo."""
    number, unit = tokens[0], tokens[1] if len(tokens) > 1 else None
    if unit is None:
        return
    noun = _is_word(unit) and unit.text.isidentifier() and unit.text.lower() not in KEYWORDS
    percent = unit.token_type is TokenType.MOD and (len(tokens) == 2 or _ends_operand(tokens[2]))  # noqa: PLR2004  # no third
    if noun or percent:
        space = "" if unit.start == number.end + 1 else " "
        what = f"the quantity {number.text + space + unit.text!r} inside an expression"
        raise ExpressionError(what, _QUANTITIES, offset=_start(number), code="quantity-in-expression")


def _ends_operand(token: Token) -> bool:
    closing = {TokenType.R_PAREN, TokenType.COMMA}
    return token.token_type in closing or token.text.lower() in KEYWORDS - {"not", "case", "null", "true", "false"}


def _marked(tokens: Sequence[Token]) -> list[Token]:
    """Mark calls, quote names, and turn `cast(x as T)` into a call with the type's text as its second argument."""
    marked: list[Token] = [tokens[0]]
    casts: list[bool] = []
    rest = list(tokens[1:])
    while rest:
        token = rest.pop(0)
        if token.token_type is TokenType.L_PAREN:
            casts.append(marked[-1].text.lower() == f"{CALL}cast")
        elif token.token_type is TokenType.R_PAREN and casts:
            casts.pop()
        if casts and casts[-1] and token.text.lower() == "as":
            marked += _cast_type(token, rest)
        else:
            marked.append(_marked_word(token, rest, after_dot=marked[-1].token_type is TokenType.DOT))
    return marked


def _cast_type(token: Token, rest: list[Token]) -> list[Token]:
    depth, words = 0, []
    while rest and (depth or rest[0].token_type is not TokenType.R_PAREN):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(rest[0].token_type, 0)
        words.append(rest.pop(0))
    text = "".join(word.text for word in words)
    last = words[-1] if words else token
    comma = Token(TokenType.COMMA, ",", token.line, token.col, token.start, token.end, [])
    return [comma, Token(TokenType.STRING, text, last.line, last.col, (words or [token])[0].start, last.end, [])]


def _marked_word(token: Token, rest: Sequence[Token], *, after_dot: bool) -> Token:
    keyword = token.text.lower() in KEYWORDS and token.token_type is not TokenType.IDENTIFIER and not after_dot
    if keyword or not _is_word(token):
        return token
    called = bool(rest) and rest[0].token_type is TokenType.L_PAREN
    kind = TokenType.VAR if called else TokenType.IDENTIFIER
    return Token(kind, CALL * called + token.text, token.line, token.col, token.start, token.end, [])


def _only(trees: Sequence[exp.Expr | None], text: str) -> exp.Expression:
    select = trees[0] if len(trees) == 1 else None
    if not isinstance(select, exp.Select) or any(value for key, value in select.args.items() if key != "expressions"):
        raise ExpressionError(f"{text!r} is no expression", "one SQL expression", code="syntax")
    if len(select.expressions) != 1:
        raise ExpressionError(f"{text!r} is {len(select.expressions)} expressions", "one", code="several")
    tree = select.expressions[0]
    for alias in tree.find_all(exp.Alias, exp.Aliases):
        raise ExpressionError(f"{alias.alias!r} stands where an operator was expected", "no alias",
                              offset=offset_of(alias), code="alias")  # fmt: skip
    if not isinstance(tree, exp.Expression):
        raise ExpressionError(f"{text!r} is no expression", "one SQL expression", code="syntax")
    return tree
