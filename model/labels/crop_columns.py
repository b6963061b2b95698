"""The class of each feature of a label file: from its own columns (`cropcam.pipeline.class_columns`), or by a table of crops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.tables import crop_classes
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.class_columns import class_columns, read_classes
from cropcam.pipeline.class_names import known_names, unknown_line
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile

if TYPE_CHECKING:
    import geopandas


class FeatureClasses(NamedTuple):
    """The classes of the features of a file."""

    class_P: Classes  # class index, 255 where it is not known
    notes: tuple[str, ...]  # how many are not known


def classes_of(
    file: VectorFile, spec: LabelSpec, legend: Legend, grid: PixelGrid | None = None
) -> tuple[geopandas.GeoDataFrame, FeatureClasses]:
    """The features of a file, near `grid` if it is given, and their classes.

    Of several columns of names the first counts in which a class is known.

    Raises:
        DataError: there is no column of classes, or the table of crops is not valid.
    """
    table = None
    if spec.label_table:
        check_label_file(spec.label_table, spec.digests.get("label_table", ""))
        table, column = crop_classes(spec.label_table, file, spec.label_column, legend)
        columns = [column]
    else:
        columns = class_columns(file, spec.label_column, legend, "--label-table FILE.csv says which class a crop is")
    frame, cells, class_P, unknown = read_classes(file, columns, legend, grid=grid, table=table)
    known = list(table) if table is not None else known_names(legend)
    what = "features" if table is None else f"features (crops that {Path(spec.label_table).name} does not have)"
    return frame, FeatureClasses(class_P, (unknown_line(f"of its {what}", cells, unknown, known),) if unknown else ())
