"""Templates to text, with every foreign string escaped.

Jinja2 escapes for HTML; before that, `visible` writes out the characters nobody could see. Text
that is HTML already (SVG, the style sheet, rendered pairs) is marked as such where it is made.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from likeness.report import text, wording

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Render a template of this package."""
    return _environment().get_template(template).render(**values)


def as_html(markup: str) -> Markup:
    """Mark text that this package made as HTML; never text that came from outside."""
    from markupsafe import Markup

    return Markup(markup)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def finalise(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str) and not isinstance(value, Markup):
            return text.visible(value)
        return value

    environment = Environment(
        loader=PackageLoader("likeness.report", "templates"),
        autoescape=True,
        finalize=finalise,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = files("likeness.report").joinpath("templates", "style.css").read_text("utf-8")
    environment.globals.update(
        style=as_html(style),
        captions=wording.CAPTIONS,
        verdict_words=wording.VERDICT_WORDS,
        status_words=wording.STATUS_WORDS,
    )
    environment.filters.update(
        amount=text.amount,
        byte_size=text.byte_size,
        correlation=text.correlation,
        count=text.count,
        distance_to_one=text.distance_to_one,
        duration=text.duration,
        moment=text.moment,
        many=text.many,
        percent=text.percent,
        percent_down=text.percent_down,
        percent_up=text.percent_up,
        percentage=text.percentage,
        probability=text.probability,
        scientific=text.scientific,
    )
    return environment
