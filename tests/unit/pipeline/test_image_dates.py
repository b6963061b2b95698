"""Days in names of files."""

from __future__ import annotations

from cropcam.pipeline.image_dates import image_dates


def test_dates_are_those_of_the_acquisition() -> None:
    assert image_dates(("LC08_L2SP_030031_20230831_20230906_02_T1_SR_B4.TIF", "a_20210102_b.tif")) == ["2021-01-02", "2023-08-31"]
    assert image_dates(("T15TYH_20180705T165849_B04_10m.jp2",)) == ["2018-07-05"]
    assert image_dates(("image.tif", "x_20231331_y.tif", "x_99999999_y.tif", "20230831.tif")) == []
