"""What a whole report has, and what one lacks of it."""

# Of these only the kind is compared, not the value.
IDENTIFYING = {"verdict", "ok", "scenario", "family", "rounds", "code", "command", "target",
               "observed", "refused"}  # fmt: skip


def shape(value, key=""):
    if key in ("histogram", "states", "chart", "flags", "wait_ns"):  # chance has a part in them
        return None
    if isinstance(value, dict):
        return {name: shape(item, name) for name, item in value.items()}
    if key == "results":
        value = sorted(value, key=lambda result: str(result.get("target") or result.get("check")))
    if isinstance(value, list):
        return [shape(item, key) for item in value]
    return value if value is None or key in IDENTIFYING and not isinstance(value, float) \
        else type(value).__name__.replace("float", "int")  # fmt: skip


def lost(whole, now, path=""):
    """Paths of what the whole report has and this one has not, or has otherwise."""
    if isinstance(whole, dict) and isinstance(now, dict):
        found = []
        for name, item in whole.items():
            found += lost(item, now.get(name), f"{path}.{name}")
        return found
    if isinstance(whole, list) and isinstance(now, list):
        found = [f"{path}: {len(now)} of {len(whole)}"] if len(now) < len(whole) else []
        for i, (one, other) in enumerate(zip(whole, now)):
            found += lost(one, other, f"{path}[{i}]")
        return found
    return [] if whole == now or whole is None else [f"{path}: {now} instead of {whole}"]


def common(one, other):
    """What two whole reports have alike; None where they differ, as it may then be missing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: common(one[name], other[name]) for name in one.keys() & other.keys()}
    if isinstance(one, list) and isinstance(other, list):
        return [common(*pair) for pair in zip(one, other)]
    return one if one == other else None
