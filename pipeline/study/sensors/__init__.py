"""The sensors that come with cropcam, one TOML table each; the file's stem is the sensor's name (docs/sensors.md)."""
