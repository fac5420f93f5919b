def describe(store) -> dict[str, object]:
    return {}
