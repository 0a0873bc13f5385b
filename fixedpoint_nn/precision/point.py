# SPDX-License-Identifier: MIT
"""The results of a sweep: its points, the omitted ones, and both as tables."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.precision.axes import PTQ
from fixedpoint_nn.precision.cost import Cost
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.plan import Plan


@dataclass(frozen=True)
class Point:
    """One point of a sweep: axis and value, metric with its 95 % interval, statistics by cast point, and cost."""

    axis: str
    value: str
    method: str
    metric: float
    low: float
    high: float
    loss: float  # against float, in points of a share such as accuracy, else in percent
    changed: int  # predictions that differ from the float network's; of a regression, samples
    predictions: int
    saturated: Mapping[str, int]
    wrapped: Mapping[str, int]
    values: Mapping[str, int]
    snr_db: Mapping[str, float]
    cost: Cost
    plan: Plan
    seconds: float
    engine: Mapping[str, int] | None = None  # cycles, luts, dsps, as far as known

    def row(self) -> dict[str, Any]:
        """The point as a flat dictionary, one line of a table."""
        return {
            "axis": self.axis,
            "value": self.value,
            "method": self.method,
            "metric": self.metric,
            "low": self.low,
            "high": self.high,
            "loss": self.loss,
            "changed": self.changed,
            "predictions": self.predictions,
            "saturated": sum(self.saturated.values()),
            "wrapped": sum(self.wrapped.values()),
            **asdict(self.cost),
            **(self.engine or {}),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Absent:
    """An omitted point with its reason: some layer cannot have such formats, or (`failed`) its computation raised."""

    axis: str
    value: str
    method: str
    reason: str
    failed: bool

    def __str__(self) -> str:
        what = "failed" if self.failed else "left out"
        return f"{self.axis} {self.value} {self.method}: {what}: {self.reason}"


@dataclass(frozen=True)
class Sweep(Sequence[Point]):
    """The points of a sweep, in order, with the float network's metric."""

    points: tuple[Point, ...]
    metric: Metric
    float_score: float
    computed: int = 0  # points that were not in the store
    absent: tuple[Absent, ...] = ()

    def __getitem__(self, index: Any) -> Any:
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def on(self, axis: str, method: str = PTQ) -> list[Point]:
        """The points of one axis and method."""
        return [point for point in self.points if (point.axis, point.method) == (axis, method)]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per point."""
        return [point.row() for point in self.points]

    def layers(self) -> list[dict[str, Any]]:
        """One dictionary per point and cast point that converted values."""
        return [
            {
                "axis": point.axis,
                "value": point.value,
                "method": point.method,
                "place": place,
                "values": values,
                "saturated": point.saturated.get(place, 0),
                "wrapped": point.wrapped.get(place, 0),
                "snr_db": point.snr_db.get(place),
            }
            for point in self.points
            for place, values in point.values.items()
        ]

    def to_csv(self, path: str | os.PathLike[str], layers: bool = False) -> None:
        """Write one line per point, or with `layers` one per cast point of each point."""
        rows = self.layers() if layers else self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, text.getvalue())

    def to_parquet(self, path: str | os.PathLike[str], layers: bool = False) -> None:
        """Write the same lines as a Parquet file; needs the extra `tables` (pyarrow)."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise ImportError(
                "a Parquet file needs pyarrow: pip install 'fixedpoint_nn[tables]'; to_csv() does without"
            ) from None
        rows = self.layers() if layers else self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {name: [row.get(name) for row in rows] for name in names}
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), buffer)
        write_whole(Path(path), buffer.getvalue())

    def to_frame(self) -> Any:
        """The points as a pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("a DataFrame needs pandas: pip install pandas; to_csv() does without") from None
        return pandas.DataFrame(self.rows())
