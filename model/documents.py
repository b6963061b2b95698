"""The JSON objects of `--json`, command by command: their types, the JSON Schema and the page docs/json.md that follow from them.

`python tests/support/json_page.py` writes page and schema. A test runs the commands and checks what they print against these types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

_CLOSED = ConfigDict(extra="forbid")
_OPEN = ConfigDict(extra="allow")


class Failure(TypedDict):
    """A command that failed before it had a result. The line on stderr is the same."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    error: Annotated[str, Field(description="what is wrong, and the next step")]
    exit_code: Annotated[int, Field(description="as the process ends with")]


class Grid(TypedDict):
    """A grid of pixels."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    crs: str
    transform: Annotated[list[float], Field(description="affine: column, row to x, y", min_length=6, max_length=6)]
    width: int
    height: int


class PatchCounts(TypedDict):
    """Patches of a study, and of a store how many are kept."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    size_px: int
    columns: int
    rows: int
    count: Annotated[int, Field(description="of the grid")]
    kept: NotRequired[Annotated[int, Field(description="of a store")]]
    dropped: NotRequired[Annotated[dict[str, int], Field(description="of a store, by reason")]]
    splits: NotRequired[Annotated[dict[str, int], Field(description="of a store, by split")]]


class Describe(TypedDict):
    """describe: a study, or a store. Further keys hold bytes, sensor, values and statistics."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    study: str
    grid: Grid
    patches: PatchCounts
    bands: list[str]
    classes: list[str]
    digest: str


class Simulate(TypedDict):
    """simulate: the archive."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    archive: str
    study: str
    seed: int


class PlannedTask(TypedDict):
    """A task of an export that is planned."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    task: str
    layer: str
    row: int
    col: int
    height: int
    width: int
    pixels: int
    bytes: int
    files: int


class PlannedLayer(TypedDict):
    """A layer of an export into a folder that is planned."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    layer: str
    pixels: int
    bytes: int
    requests: int
    request_px: int
    files: int


class LayerEstimate(TypedDict):
    """The estimate of a layer."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    layer: str
    pixels: int
    eecu_hours: float
    between: Annotated[list[float], Field(description="at the cheapest and the costliest window", min_length=2, max_length=2)]


class CostEstimate(TypedDict):
    """The estimate of an export's compute."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    eecu_hours: float
    layers: list[LayerEstimate]
    own_eecu_hours: Annotated[float, Field(description="that the estimate itself used")]


class ExportPlan(TypedDict):
    """export --dry-run: tasks, or of a folder requests."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    study: str
    to: str
    tasks: list[PlannedTask]
    layers: NotRequired[Annotated[list[PlannedLayer], Field(description="of a folder")]]
    requests: Annotated[int | None, Field(description="of a folder")]
    pixels: int
    bytes: Annotated[int, Field(description="uncompressed")]
    files: int
    estimate: Annotated[CostEstimate | None, Field(description="with --estimate")]


class Task(TypedDict):
    """A task of an export."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    task: str
    layer: str
    state: Annotated[str, Field(description="succeeded, running, pending, unsubmitted, cancelling, cancelled, failed or forgotten")]
    progress: Annotated[float | None, Field(description="0 to 1")]
    seconds: Annotated[float | None, Field(description="of work, by the service's clock")]
    eecu_seconds: Annotated[float | None, Field(description="of all attempts")]
    pixels: int
    attempt: Annotated[int, Field(description="from 0")]
    updated: Annotated[str, Field(description="time of the last change, RFC 3339, or empty")]
    message: str
    places: list[str]


class Fetched(TypedDict):
    """Files that came home."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    folder: str
    files: int
    bytes: int
    fetched: Annotated[int, Field(description="files that were fetched now")]
    seconds: float


class Tasks(TypedDict):
    """tasks, and export to drive:, gs:// or asset:."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    study: str
    to: str
    progress: Annotated[Literal["done", "not done", "failed", "cancelled"], Field(description="of all tasks together")]
    states: Annotated[dict[str, int], Field(description="tasks in each state")]
    eecu_hours: Annotated[float | None, Field(description="used so far")]
    places: Annotated[list[str], Field(description="addresses of the files, as the service reports them")]
    tasks: list[Task]
    fetched: NotRequired[Annotated[Fetched, Field(description="with --fetch")]]


class Delivered(TypedDict):
    """export to a folder."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    study: str
    to: str
    files: list[str]


class Fetch(Fetched):
    """fetch: the files that came home."""

    study: str


class Preview(TypedDict):
    """preview: the page."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    study: str
    page: str


class KeptPatches(TypedDict):
    """Patches of a store."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    kept: int
    count: Annotated[int, Field(description="of the grid")]
    splits: dict[str, int]
    dropped: Annotated[dict[str, int], Field(description="by reason")]


class Patches(TypedDict):
    """patches: the store."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    store: str
    study: str
    existed: Annotated[bool, Field(description="the same store was there already")]
    patches: KeptPatches
    has_labels: bool
    digest: str
    warnings: list[str]


class Check(TypedDict):
    """check: printed also where there are problems, before exit code 3."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    store: str
    sound: bool
    patches: int
    blocks: int
    problems: list[str]
    picture: Annotated[str | None, Field(description="null where the extra report is not installed")]


class Train(TypedDict):
    """train: the run."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    run: str
    stores: list[str]
    model: str
    labels: Annotated[str, Field(description="kind of label")]
    patches: Annotated[int, Field(description="that were trained on")]
    epochs: int
    selected_epoch: Annotated[int, Field(description="whose weights are used")]
    warnings: Annotated[list[str], Field(description="of the data and the validation; also in RUN/cautions.json")]
    selected: Annotated[dict[str, float], Field(description="its row of history.csv: losses, accuracies, the majority guess")]


class Classification(TypedDict):
    """Figures of the patch labels."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    accuracy: float | None
    majority_accuracy: float | None
    per_class: dict[str, dict[str, Any]]


class Segmentation(TypedDict):
    """Figures of the pixels."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    majority_accuracy: float | None
    methods: dict[str, dict[str, Any]]
    default: Annotated[str, Field(description="the method of the run")]


class Evaluate(TypedDict):
    """evaluate RUN: metrics.json, which docs/numbers.md explains, and the warnings."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    split: str
    patches: int
    warnings: NotRequired[Annotated[list[str], Field(description="of the training and of these figures; not in the file")]]
    classification: Classification
    segmentation: Segmentation


class EvaluateMap(TypedDict):
    """evaluate MAP --points FILE: accuracies of a map, which docs/numbers.md explains."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    map: dict[str, Any]
    points: dict[str, Any]


class CrossValidation(TypedDict):
    """crossval: a row for each store left out; the last one has the means."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    rows: list[dict[str, Any]]
    csv: str
    json: str
    runs: Annotated[list[str], Field(description="the runs of the folds")]


class Compare(TypedDict):
    """compare: a row for each run and place."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    rows: list[dict[str, Any]]
    cautions: list[str]
    page: str
    csv: str


class Map(TypedDict):
    """map: the files and the area of each class."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    path: str
    class_pixels: dict[str, int]
    nodata_pixels: int
    class_hectares: Annotated[dict[str, float], Field(description="geodesic; empty where the CRS does not reach the pixels")]
    unshifted_hectares: Annotated[dict[str, float], Field(description="before the shift to known areas; empty without one")]
    known_shares: Annotated[dict[str, float], Field(description="0 to 1; empty without known areas")]
    files: list[str]


class Area(TypedDict):
    """area: hectares of each class, which docs/numbers.md explains. Further keys come with --regions and --reference."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    map: dict[str, Any]
    classes: list[dict[str, Any]]


class Sample(TypedDict):
    """sample: the points to be labelled."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    csv: str
    geopackage: str
    points: int
    counts: Annotated[dict[str, int], Field(description="points by mapped class")]
    existed: Annotated[bool, Field(description="the same sample was there already")]
    seed: int


class Report(TypedDict):
    """report: the page."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    run: str
    report: str


class ExportModel(TypedDict):
    """export-model: the file."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    run: str
    file: str
    bytes: int


class Demo(TypedDict):
    """demo: what was made, and metrics.json."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    folder: str
    store: str
    run: str
    map: str
    report: str
    metrics: Evaluate


class PresetStudy(TypedDict):
    """A preset study."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    name: str
    title: str
    bounds: Annotated[list[float], Field(description="west, south, east, north in degrees", min_length=4, max_length=4)]
    sensor: str
    years: list[int]
    seasons: int
    patches: int
    classes: list[str]


class PresetSensor(TypedDict):
    """A sensor."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    name: str
    title: str


class PresetLegend(TypedDict):
    """A legend."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    name: str
    codes: int


class Presets(TypedDict):
    """presets: names to choose from."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    studies: list[PresetStudy]
    sensors: list[PresetSensor]
    legends: list[PresetLegend]
    networks: Annotated[list[str], Field(description="of train --model")]
    labels: Annotated[list[str], Field(description="of train --labels")]
    training: Annotated[list[str], Field(description="of train --preset")]


DOCUMENTS: dict[str, tuple[Any, ...]] = {
    "area": (Area,),
    "check": (Check,),
    "compare": (Compare,),
    "crossval": (CrossValidation,),
    "demo": (Demo,),
    "describe": (Describe,),
    "evaluate": (Evaluate, EvaluateMap),
    "export": (ExportPlan, Tasks, Delivered),
    "export-model": (ExportModel,),
    "fetch": (Fetch,),
    "map": (Map,),
    "patches": (Patches,),
    "presets": (Presets,),
    "preview": (Preview,),
    "report": (Report,),
    "sample": (Sample,),
    "simulate": (Simulate,),
    "tasks": (Tasks,),
    "train": (Train,),
}


def schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a TypedDict
    """The JSON Schema (draft 2020-12) of a document."""
    return TypeAdapter(kind).json_schema()


def check(kind: Any, text: str) -> Any:  # noqa: ANN401 - a TypedDict; JSON values
    """The object in a text, checked strictly against a document's type.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return TypeAdapter(kind).validate_json(text, strict=True)
