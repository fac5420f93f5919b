from xsd.store.dependencies import Dependencies as Footprint
