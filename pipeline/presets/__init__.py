"""The studies that come with cropcam, one TOML file each; the file's stem is the preset's name."""
