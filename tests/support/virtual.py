"""Virtual rasters (VRT) for tests, as GDAL writes them."""

from __future__ import annotations

from pathlib import Path

import rasterio


def write_vrt(path: Path, source: Path, *, name: str | None = None) -> Path:
    """All bands of a raster as a virtual raster, its source by a name relative to it; `name` stands in place of that."""
    with rasterio.open(source) as dataset:
        a, b, c, d, e, f = tuple(dataset.transform)[:6]
        bands = "".join(
            f'<VRTRasterBand dataType="{"UInt16" if dtype == "uint16" else "Byte"}" band="{number}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{name or source.name}</SourceFilename><SourceBand>{number}</SourceBand></SimpleSource></VRTRasterBand>'
            for number, dtype in enumerate(dataset.dtypes, 1)
        )
        path.write_text(
            f'<VRTDataset rasterXSize="{dataset.width}" rasterYSize="{dataset.height}"><SRS>{dataset.crs.to_wkt()}</SRS>'
            f"<GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>{bands}</VRTDataset>"
        )
    return path


def write_nodata(raster: Path, value: float) -> Path:
    """A nodata value for the first band in NAME.aux.xml, where GDAL and QGIS keep what a file has no place for."""
    sidecar = raster.with_name(f"{raster.name}.aux.xml")
    sidecar.write_text(f'<PAMDataset><PAMRasterBand band="1"><NoDataValue>{value}</NoDataValue></PAMRasterBand></PAMDataset>')
    return sidecar
