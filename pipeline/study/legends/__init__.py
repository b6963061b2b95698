"""The legends that come with cropcam, one CSV of code, name and colour each; the file's stem is the legend's name (docs/legends.md)."""
