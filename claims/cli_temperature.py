"""The temperature laws that a command line names, for features that flow and for features that descend."""

from typing import Any

__all__ = ["LAWS", "temperature_law"]

LAWS = ("exp", "linear", "softplus", "fixed", "straight", "alternating")
"""The last two move the temperature on a schedule."""


def temperature_law(name: str, scale: float, temperature: float, end: float, horizon: float) -> Any:
    """Return the law of that name, of `conetheory.temperature_laws`.

    Raises
    ------
    ValueError
        If the name is none of `LAWS`, or a number that this law needs is not positive; it names the option.
    """
    from conetheory import temperature_laws as laws
    from conetheory._arrays import as_choice
    from conetheory._scalars import positive_number
    from sims.temperature_plans import alternating_temperature, straight_temperature

    as_choice("--law", name, LAWS)
    if name == "exp":
        return laws.exponential_law(positive_number("--law-scale", scale))
    if name in ("straight", "alternating"):
        plan = straight_temperature if name == "straight" else alternating_temperature
        return plan(temperature, positive_number("--end-temperature", end), positive_number("--horizon", horizon))
    return {"linear": laws.linear_law, "softplus": laws.softplus_law, "fixed": laws.fixed_law}[name]()
