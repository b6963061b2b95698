"""The handlers of Earth Engine's methods: a request in, a response out.

Source: Earth Engine REST reference.
"""

from __future__ import annotations

import re
from typing import Any

from cropcam.pipeline.emulator import discovery, encodings, limits, listing, tiles
from cropcam.pipeline.emulator.block_reader import Deadline, Reader, chosen
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import unimplemented
from cropcam.pipeline.emulator.file_routes import Files
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.map_ids import MapIds, picture_format
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.profiling import PLUMBING
from cropcam.pipeline.emulator.requests import Json, band_ids, expression_of, parse_grid
from cropcam.pipeline.emulator.responses import Response, as_json
from cropcam.pipeline.emulator.routing import Request
from cropcam.pipeline.emulator.tiles import Visualization

_BYTES = "application/octet-stream"
_WAIT_S = 60.0


class Service:
    """The handlers of all routes."""

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        operations: Operations,
        service_limits: Limits,
        files: Files,
        assets: OwnAssets,
    ) -> None:
        self.engine, self.reader, self.operations, self.limits = engine, reader, operations, service_limits
        self.files, self.assets = files, assets
        self._map_ids = MapIds()

    def discovery(self, request: Request) -> Response:
        """`GET /$discovery/rest`."""
        return Response((discovery.discovery_document(request.root_url, request.query.get("version", "v1")),))

    def algorithms(self, request: Request) -> Response:  # noqa: ARG002 - as every route
        """`GET projects/P/algorithms`."""
        return Response((discovery.algorithms(),))

    def config(self, request: Request) -> Response:
        """`GET projects/P/config`."""
        return as_json(
            {
                "name": f"projects/{request.path['project']}/config",
                "registrationState": "REGISTERED_NOT_COMMERCIALLY",
                "maxConcurrentExports": self.limits.batch_tasks,
            }
        )

    def compute_value(self, request: Request) -> Response:
        """`POST value:compute`."""
        with request.profile.counting("Computing a value"):
            return as_json({"result": self.engine.compute(expression_of(request.body))})

    def compute_pixels(self, request: Request) -> Response:
        """`POST image:computePixels`."""
        with request.profile.counting(PLUMBING):
            image = self.engine.image(expression_of(request.body))
        return self._pixels(image, request)

    def get_pixels(self, request: Request) -> Response:
        """`POST assets/ID:getPixels`."""
        load = {"functionName": "Image.load", "arguments": {"id": {"constantValue": listing.asset_id(request.path["name"])}}}
        image = self.engine.image({"result": "0", "values": {"0": {"functionInvocationValue": load}}})
        return self._pixels(image, request, is_computed=False)

    def asset(self, request: Request) -> Response:
        """`GET assets/ID`."""
        name = request.path["name"]
        return as_json(listing.named(self.engine.asset(listing.asset_id(name)), name))

    def create_asset(self, request: Request) -> Response:
        """`POST projects/P/assets?assetId=PATH`: a folder or an image collection."""
        name = f"projects/{request.path['project']}/assets/{request.query.get('assetId', '')}"
        self.assets.create(name, request.body)
        return as_json(self.engine.asset(name))

    def delete_asset(self, request: Request) -> Response:
        """`DELETE assets/ID`."""
        self.assets.delete(request.path["name"])
        return as_json({})

    def patch_asset(self, request: Request) -> Response:
        """`PATCH assets/ID`: properties and times."""
        self.assets.patch(request.path["name"], request.body)
        return as_json(self.engine.asset(request.path["name"]))

    def list_assets(self, request: Request) -> Response:
        """`GET assets/ID:listAssets` and `:listImages`."""
        name = request.path["name"]
        parent = name if "/assets" in name else f"{name}/assets"
        assets = self.engine.list_assets(listing.asset_id(f"{parent}/"))
        key = "images" if request.path["verb"] == "listImages" else "assets"
        return as_json(listing.page(assets, key, request.query))

    def export(self, request: Request) -> Response:
        """`POST image:export`."""
        return as_json(self.operations.submit(request.path["project"], request.body, request.account))

    def list_operations(self, request: Request) -> Response:
        """`GET operations`."""
        size = listing.page_size(request.query, self.limits.page)
        return as_json(self.operations.list(request.path["project"], size, request.query.get("pageToken", ""), request.fault))

    def operation(self, request: Request) -> Response:
        """`GET operations/ID`."""
        return as_json(self.operations.get(request.path["name"], request.fault))

    def cancel(self, request: Request) -> Response:
        """`POST operations/ID:cancel`."""
        self.operations.cancel(request.path["name"], request.fault)
        return as_json({})

    def wait(self, request: Request) -> Response:
        """`POST operations/ID:wait`."""
        timeout = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(request.body.get("timeout", "10s")))
        if timeout is None:
            raise limits.invalid("Invalid timeout: write seconds, for example '10s'.")
        return as_json(self.operations.wait(request.path["name"], min(float(timeout[1]), _WAIT_S)))

    def create_picture(self, request: Request) -> Response:
        """`POST maps` and `POST thumbnails`: checked at once, painted on request."""
        image, bands = self._chosen(request.body)
        Visualization.parse(request.body.get("visualizationOptions"))
        chosen(image, bands)
        return as_json({"name": self._map_ids.keep(f"projects/{request.path['project']}/{request.path['kind']}", request.body)})

    def tile(self, request: Request) -> Response:
        """`GET maps/ID/tiles/Z/X/Y`."""
        body = self._map_ids.find(request.path["name"])
        zoom, col, row = (int(request.path[key]) for key in ("z", "x", "y"))
        return self._paint(body, *self._chosen(body), tiles.tile_grid(zoom, col, row))

    def thumbnail(self, request: Request) -> Response:
        """`GET thumbnails/ID:getPixels`: a picture, or (NPY, GEO_TIFF) the pixels themselves."""
        body = self._map_ids.find(request.path["name"])
        image, bands = self._chosen(body)
        if body.get("fileFormat") in {"NPY", "GEO_TIFF"}:
            request.body = body
            return self._pixels(image, request)
        image_grid = parse_grid(body.get("grid"), image.grid, "Unable to compute a thumbnail of an unbounded image.")
        if not body.get("grid"):
            return self._paint(body, image, bands, tiles.thumbnail_grid(image_grid))
        limits.check_pixels(image_grid.width, image_grid.height, [band.type.dtype for band in chosen(image, bands)], self.limits)
        return self._paint(body, image, bands, image_grid)

    def unknown(self, request: Request) -> Response:
        """Any other method of the API."""
        raise unimplemented(f"The method {request.path['verb']}")

    def _pixels(self, image: LazyImage, request: Request, *, is_computed: bool = True) -> Response:
        body, names = request.body, band_ids(request.body)
        file_format = str(body.get("fileFormat", "AUTO_JPEG_PNG"))
        grid = parse_grid(body.get("grid"), image.grid, "The image has no bounds: give a grid.")
        bands = chosen(image, names)
        dtypes = [band.type.dtype for band in bands]
        limits.check_pixels(grid.width, grid.height, dtypes, self.limits)
        if is_computed:
            limits.check_output(grid.width, grid.height, len(dtypes), self.limits)
        if file_format in {"PNG", "JPEG", "AUTO_JPEG_PNG"}:
            return self._paint(body, image, names, grid)
        request.held.enter_context(self.reader.admitted(limits.request_bytes(grid.width, grid.height, dtypes)))
        blocks = request.profile.blocks(self.reader.blocks(image, grid, names, self._deadline()), "Computing pixels")
        if file_format == "NPY":
            return Response(encodings.npy(blocks, grid, bands), _BYTES)
        if file_format == "GEO_TIFF":
            return Response((encodings.geotiff(blocks, grid, bands),), "image/tiff")
        raise unimplemented(f"The file format {file_format}")

    def _paint(self, body: Json, image: LazyImage, names: tuple[str, ...] | None, grid: Any) -> Response:  # noqa: ANN401 - PixelGrid
        style = Visualization.parse(body.get("visualizationOptions"))
        blocks = self.reader.blocks(image, grid, names, self._deadline())
        picture, media_type = encodings.picture(tiles.paint(blocks, grid, chosen(image, names), style), picture_format(body))
        return Response((picture,), media_type)

    def _chosen(self, body: Json) -> tuple[LazyImage, tuple[str, ...] | None]:
        """The image of a picture and its bands: those of the request, else the first three, else the first."""
        image, names = self.engine.image(expression_of(body)), band_ids(body)
        if names is None and body.get("fileFormat") not in {"NPY", "GEO_TIFF"}:
            band_names = tuple(band.name for band in image.bands)
            names = (
                band_names[:3]
                if len(band_names) >= 3 and not (body.get("visualizationOptions") or {}).get("paletteColors")
                else band_names[:1]
            )
        return image, names

    def _deadline(self) -> Deadline:
        return Deadline.after(self.limits.interactive_s)
