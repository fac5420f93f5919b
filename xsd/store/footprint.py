from xsd.store.dependencies import Dependencies

Footprint = Dependencies
