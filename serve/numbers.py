"""Numbers as people read them."""

from math import isfinite


def number(value: float | int | None, digits: int = 0, unit: str = "") -> str:
    """With thin spaces between thousands, and the unit behind a narrow one; a dash for None and what is not finite."""
    if value is None or not isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}".replace(",", " ").replace("-", "−")
    return f"{text} {unit}" if unit else text


def percent(share: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 as percent."""
    return number(None if share is None else 100 * share, digits, "%")
