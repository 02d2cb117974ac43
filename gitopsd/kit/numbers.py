"""Numbers with a fraction as Go and Starlark write them."""

from __future__ import annotations

import math


def go_float(value: float) -> str:
    """Go's ``%g`` of the shortest digits that give a finite number back: with an exponent below 1e-4 and from 1e6."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    scale = len(whole.lstrip("0")) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0"))) - 1
    scale += int(power or 0)
    significant = significant.rstrip("0") or "0"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    if scale < -4 or scale >= 6:
        return _scientific(sign, significant, scale)
    if scale < 0:
        return f"{sign}0.{'0' * (-scale - 1)}{significant}"
    whole, fraction = significant[: scale + 1].ljust(scale + 1, "0"), significant[scale + 1 :]
    return sign + whole + (f".{fraction}" if fraction else "")


def starlark_float(value: float) -> str:
    """What ``str`` says of a number in Starlark: always with a point or an exponent; ``nan``, ``+inf``, ``-inf``."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "+inf" if value > 0 else "-inf"
    text = go_float(value)
    return text if "." in text or "e" in text else f"{text}.0"


def _scientific(sign: str, significant: str, scale: int) -> str:
    fraction = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{fraction}e{'-' if scale < 0 else '+'}{abs(scale):02d}"
