"""Bytes between the world and the engine; nothing here knows what they mean."""
