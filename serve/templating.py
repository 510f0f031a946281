"""Templates and texts of the pages."""

from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import StrictUndefined

from serve.numbers import number, percent
from serve.texts import Texts, read_texts

templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.undefined = StrictUndefined
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.filters |= {"number": number, "percent": percent}


def texts_of(request: Request) -> Texts:
    """The texts of the language that the pages are shown in."""
    found: Texts = getattr(request.app.state, "texts", None) or read_texts()
    return found
