"""What Earth Engine can never deliver, known before the first request: days without a sensor, label assets that are not there, sizes beyond its limits.

Pure: it needs no client and no credentials, and asks nobody. What it does not know it lets pass; the service is asked before an export.

Source: the Earth Engine Data Catalog's "Dataset Availability" of each collection (`days` of the sensors, `# years:` of the legends); limits as of
`cropcam.pipeline.earthengine.plan`.
"""

from __future__ import annotations

import re
from datetime import date

from cropcam.pipeline.crs import transform_bounds
from cropcam.pipeline.earthengine.plan import BANDS_LIMIT, MAX_PIXELS
from cropcam.pipeline.legend_sources import Published, packaged_names, published
from cropcam.pipeline.sensor import DEFAULT, packaged
from cropcam.pipeline.sensor import packaged_names as packaged_sensors
from cropcam.pipeline.study.problems import Problem, refusal
from cropcam.pipeline.study.study import Study
from cropcam.pipeline.suggestions import nearest

_ASSET = r"[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)+"  # projects may be named example.com:project
_ALIKE = 0.93  # of two names, one of them mistyped; of WorldCereal's MARKERS and MODELS, which are both there, it is 0.89
_LANDSAT_M, _PYRAMID = 30.0, 2.0  # of the default sensor, which takes the nearest pixel
_WHOLE_COUNTRY = 2008  # CDL before it covers single states, in assets such as 2005a


def check_feasible(study: Study, today: date, source: str, *, is_exported: bool = False) -> None:
    """Refuse a study that no export can bring about.

    Args:
        study: the study.
        today: later days have no scene yet.
        source: begins the message.
        is_exported: also refuse an asset that has no name of Earth Engine's, as of own label rasters.

    Raises:
        ConfigError: names every key, with number, limit and the next step.
    """
    problems = [*_seasons(study, today), *_labels(study, today, is_exported=is_exported), *_size(study)]
    if problems:
        raise refusal(problems, source)


def notes(study: Study) -> list[str]:
    """What an export would bring about and perhaps nobody wants, a sentence each."""
    found, years = [], {day[:4] for season in study.image.seasons for day in season[:1]}
    asset = study.labels.asset if study.labels else ""
    year = re.search(r"/(\d{4})[a-z]?$", asset)
    if year and year[1] not in years:
        found.append(f"labels are of {year[1]} (labels.asset), images of {' and '.join(sorted(years))} (image.seasons)")
    if asset.startswith("USDA/NASS/CDL/") and year and int(year[1]) < _WHOLE_COUNTRY:
        found.append(
            f"{asset}: before {_WHOLE_COUNTRY} the Cropland Data Layer covers single states; some years are assets such as 2005a and 2005b"
        )
    return found


def _seasons(study: Study, today: date) -> list[Problem]:
    key, problems, image = ("image", "seasons"), [], study.image
    for start, end in image.seasons:
        season = f"image.seasons: [{start}, {end})"
        if start > today.isoformat():
            problems.append(Problem(key, f"{season} begins after today, {today}; take days that are past"))
        elif not any(image.table.collection(name).may_have(start, end) for name in image.collections):
            known = [(name, *image.table.collection(name).days) for name in image.collections]
            flown = "; ".join(f"{name} has scenes from {first} {f'to {last}' if last else 'on'}" for name, first, last in known)
            problems.append(Problem(key, f"{season} has no scene: {flown}; {_other_sensor(study, start, end)}"))
    if image.sensor == DEFAULT and study.area.scale_m >= _PYRAMID * _LANDSAT_M:
        problems.append(
            Problem(
                ("area", "scale_m"),
                f"area.scale_m: {study.area.scale_m:g} m is twice a Landsat pixel or more, from where on Earth Engine gives means over clouds; "
                'take sensor = "landsat-4-9" with its band names, or less than 60',
            )
        )
    return problems


def _other_sensor(study: Study, start: str, end: str) -> str:
    """The next step where a sensor has no scene of a season."""
    fits = [
        name
        for name in packaged_sensors()
        if name != study.image.sensor and packaged(name).level and any(item.may_have(start, end) for item in packaged(name).collections)
    ]
    others = f'image.sensor = "{fits[-1] if "landsat-4-9" not in fits else "landsat-4-9"}" has, or take ' if fits else "take "
    return f"{others}other seasons"


def _labels(study: Study, today: date, *, is_exported: bool) -> list[Problem]:
    if study.labels is None:
        return []
    asset, key = study.labels.asset, ("labels", "asset")
    if not re.fullmatch(_ASSET, asset):
        step = "name one, such as USDA/NASS/CDL/2016, or leave [labels] out and export the image alone"
        return [Problem(key, f"labels.asset: {asset[:60]!r} is no name of an Earth Engine asset; {step}")] if is_exported else []
    for name in packaged_names():
        of = published(name)
        pattern = re.escape(of.asset).replace("YEAR", r"(\d{4})[a-z]?")
        if found := re.fullmatch(pattern, asset):
            years = _year(asset, int(found[1]), of, today) if of.first_year else []
            return [*years, *_place(study, of)]
        if of.first_year and asset == of.asset.removesuffix("/YEAR") and not study.labels.is_collection:
            year = f"{asset}/{study.image.seasons[0][0][:4]}"
            return [Problem(key, f"labels.asset: {asset} is a collection of one image a year; name a year, such as {year}")]
    if asset.startswith(("projects/", "users/")):
        return []
    return _mistyped(asset)


def _year(asset: str, year: int, of: Published, today: date) -> list[Problem]:
    text = ""
    if year < of.first_year:
        text = f"{asset}: the first year is {of.first_year}; take a later one"
    elif year >= today.year:
        text = f"{asset}: the map of a year is published in the next one, and today is {today}; take {today.year - 1} or earlier"
    return [Problem(("labels", "asset"), f"labels.asset: {text}")] if text else []


def _place(study: Study, of: Published) -> list[Problem]:
    """Whether the study's grid may meet the pixels of an asset."""
    if of.bounds is None:
        return []
    west, south, east, north = transform_bounds(study.grid.crs, "EPSG:4326", study.grid.bounds_xyxy)
    left, bottom, right, top = of.bounds
    if not west <= east or (
        west < right and east > left and south < top and north > bottom
    ):  # across 180 degrees, and where a projection has no place, nothing is known
        return []
    lies = f"{west:.2f} to {east:.2f} E and {south:.2f} to {north:.2f} N"
    covered = f"{left:g} to {right:g} E and {bottom:g} to {top:g} N"
    step = f"take an asset of that place, such as {published('worldcover').asset}"
    return [Problem(("labels", "asset"), f"labels.asset: {of.asset} covers {covered}, the area lies at {lies}; {step}")]


def _mistyped(asset: str) -> list[Problem]:
    """Whether an asset has nearly the name of one that is known."""
    year = re.search(r"/(\d{4}[a-z]?)$", asset)
    known = [published(name).asset.replace("YEAR", year[1] if year else "2016") for name in packaged_names()]
    name = nearest(asset, known, _ALIKE)
    if not name or re.sub(r"\d", "", name) == re.sub(r"\d", "", asset):  # the latter is another version or year
        return []
    return [Problem(("labels", "asset"), f"labels.asset: {asset} is not in Earth Engine's catalogue; did you mean {name}?")]


def _size(study: Study) -> list[Problem]:
    grid, problems = study.patch_grid, []
    width, height, size = study.grid.width, study.grid.height, study.patches.size_px
    if not grid.count:
        text = f"{width:,} x {height:,} px hold no patch of {size} x {size} px; widen them, or lower area.scale_m or patches.size_px"
        problems.append(Problem(("area", "bounds"), f"area.bounds: {text}"))
    if width * height > MAX_PIXELS:
        text = f"{width:,} x {height:,} px are more than the {MAX_PIXELS:,} that Earth Engine exports; take larger pixels or a smaller area"
        problems.append(Problem(("area", "scale_m"), f"area.scale_m: {text}"))
    if (bands := len(study.image.layers)) > BANDS_LIMIT:
        text = f"{bands:,} layers of {len(study.image.seasons)} seasons; Earth Engine exports {BANDS_LIMIT:,}; take fewer seasons or bands"
        problems.append(Problem(("image", "bands"), f"image.bands: {text}"))
    return problems
