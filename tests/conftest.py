"""Puts this folder on the import path (pytest does, for the folder of a conftest), so that tests can say `from fixtures import make_store`."""
