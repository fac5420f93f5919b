from xsd.store.store import Store


def describe(store: Store) -> dict[str, object]:
    return {}
