"""Templates and texts of the pages."""

from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import StrictUndefined

from inspection.record_findings import named_defects
from serve.numbers import number, percent
from serve.texts import DEFAULT, Texts, languages, read_texts

templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.undefined = StrictUndefined
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.filters |= {"number": number, "percent": percent, "named_defects": named_defects}


def texts_of(request: Request) -> Texts:
    """The texts of the first language that the reader's browser asks for and that there is, or English ones."""
    asked = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept-language", "").split(",")]
    known = languages()
    return read_texts(next((part for one in asked for part in (one, one[:2]) if part in known), DEFAULT))
