# SPDX-License-Identifier: MIT
"""The JSON schema of records for each command; records that do not fit are not shown."""

from __future__ import annotations

from fixedpoint_nn.network.json_shapes import (
    Anything,
    Either,
    Fields,
    Items,
    Maybe,
    Number,
    Shape,
    Table,
    Text,
    Truth,
    Whole,
)

MEASURED = Number(finite=False)  # NaN after a diverged training
FIGURE = Either(Truth(), Either(Text(), Maybe(MEASURED)))  # any cell of a table
SUBJECT: dict[str, Shape] = {"weights": Maybe(Text()), "source": Text(), "pack": Maybe(Text())}

RECORD = Fields(
    {
        "command": Text(),
        "line": Text(),
        "started": Text(),
        "seconds": Number(),
        "results": Table(Anything()),
        "machine": Table(Text()),
    },
    {"sha256": Text()},
)

POINT = Fields(
    {
        "axis": Text(),
        "value": Text(),
        "method": Text(),
        "metric": MEASURED,
        "low": MEASURED,
        "high": MEASURED,
        "loss": MEASURED,
        "weight_bits": Whole(),
        "bit_operations": Whole(),
    },
    dict.fromkeys(
        ("changed", "saturated", "wrapped", "bram_blocks", "cycles", "luts", "dsps"), Maybe(Whole())
    ),
)
MIXED = Fields(
    {
        "metric": Text(),
        "tried": Whole(),
        "hypervolume": MEASURED,
        "uniform_hypervolume": MEASURED,
        "front": Items(
            Fields(
                {
                    "bit_operations": Whole(),
                    "weight_bits": Whole(),
                    "score": MEASURED,
                    "loss": MEASURED,
                    "words": Text(),
                }
            )
        ),
    }
)
LEDGER = Fields(
    {
        "path": Text(),
        "values": Whole(),
        "saturated": Whole(),
        "wrapped": Whole(),
        "rounded": Whole(),
        "headroom_bits": Maybe(Whole(-(1 << 63))),
        "first": Maybe(Items(Whole())),
    }
)
LAYER = Fields(
    {
        "layer": Text(),
        "format": Text(),
        "channels": Whole(),
        "cycles": Maybe(Whole()),
        "mac_cycles": Maybe(Whole()),
    }
)
TABLE = Fields(
    {
        "path": Text(),
        "function": Text(),
        "input": Text(),
        "output": Text(),
        "entries": Whole(),
        "max_error_lsb": MEASURED,
        "monotonic": Truth(),
        "symmetric": Maybe(Truth()),
    }
)
LATENCY = Fields(
    {
        "cycles": Whole(),
        "clock_mhz": Number(positive=True),
        "repeats": Whole(),
        "milliseconds": Table(Number(positive=True)),
    },
    {"clock_of": Text()},
)
SIZE = Fields(
    {"family": Text(), "luts": Whole(), "flip_flops": Whole(), "dsps": Whole(), "block_rams": Whole()}
)

RESULTS: dict[str, Fields] = {
    "train": Fields(
        {
            "network": Text(),
            "epochs": Whole(),
            "seed": Whole(),
            "seconds": Number(),
            "result": Table(MEASURED),
        },
        SUBJECT,
    ),
    "sweep": Fields(
        {
            "network": Text(),
            "metric": Text(),
            "more_is_better": Truth(),
            "float_score": MEASURED,
            "points": Items(POINT, least=1),
        },
        SUBJECT | {"mixed": Maybe(MIXED)},
    ),
    "emit": Fields(
        {
            "network": Text(),
            "engine": Fields({"lanes": Whole(1)}),
            "cycles": Whole(),
            "vectors": Whole(),
            "images": Items(Fields({"name": Text(), "words": Whole(), "bits": Whole()})),
        },
        SUBJECT
        | {
            "size": Maybe(SIZE),
            "ledger": Items(LEDGER),
            "layers": Items(LAYER),
            "tables": Items(TABLE),
            "latency": Maybe(LATENCY),
            "engine": Table(FIGURE),
        },
    ),
    "verify": Fields(
        {
            "network": Text(),
            "passed": Truth(),
            "text": Text("a text that is not empty", matches=str.strip),
            "simulator": Text(),
        },
        SUBJECT,
    ),
    "generate": Fields(
        {"network": Text(), "model": Items(Text()), "verilog": Maybe(Items(Text()))},
        SUBJECT,
    ),
}
