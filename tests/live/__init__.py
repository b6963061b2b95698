"""The live test: the same questions to the real service and to the embedded engine, their answers side by side.

`make live PROJECT=...` asks the service. The ordinary tests ask an embedded engine in its place.
"""
