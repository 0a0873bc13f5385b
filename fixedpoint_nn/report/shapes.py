# SPDX-License-Identifier: MIT
"""The JSON schema of records for each command; records that do not fit are not shown."""

from __future__ import annotations

from fixedpoint_nn.network.json_shapes import (
    JsonAny,
    JsonBoolean,
    JsonEither,
    JsonInteger,
    JsonList,
    JsonMap,
    JsonNumber,
    JsonObject,
    JsonOrNull,
    JsonShape,
    JsonText,
)

MEASURED = JsonNumber(finite=False)  # NaN after a diverged training
FIGURE = JsonEither(JsonBoolean(), JsonEither(JsonText(), JsonOrNull(MEASURED)))  # any cell of a table
SUBJECT: dict[str, JsonShape] = {
    "weights": JsonOrNull(JsonText()),
    "source": JsonText(),
    "pack": JsonOrNull(JsonText()),
}

RECORD = JsonObject(
    {
        "command": JsonText(),
        "line": JsonText(),
        "started": JsonText(),
        "seconds": JsonNumber(),
        "results": JsonMap(JsonAny()),
        "machine": JsonMap(JsonText()),
    },
    {"sha256": JsonText()},
)

POINT = JsonObject(
    {
        "axis": JsonText(),
        "value": JsonText(),
        "method": JsonText(),
        "metric": MEASURED,
        "low": MEASURED,
        "high": MEASURED,
        "loss": MEASURED,
        "weight_bits": JsonInteger(),
        "bit_operations": JsonInteger(),
    },
    dict.fromkeys(
        ("changed", "saturated", "wrapped", "bram_blocks", "cycles", "luts", "dsps"),
        JsonOrNull(JsonInteger()),
    ),
)
MIXED = JsonObject(
    {
        "metric": JsonText(),
        "tried": JsonInteger(),
        "hypervolume": MEASURED,
        "uniform_hypervolume": MEASURED,
        "front": JsonList(
            JsonObject(
                {
                    "bit_operations": JsonInteger(),
                    "weight_bits": JsonInteger(),
                    "score": MEASURED,
                    "loss": MEASURED,
                    "words": JsonText(),
                }
            )
        ),
    }
)
LEDGER = JsonObject(
    {
        "path": JsonText(),
        "values": JsonInteger(),
        "saturated": JsonInteger(),
        "wrapped": JsonInteger(),
        "rounded": JsonInteger(),
        "headroom_bits": JsonOrNull(JsonInteger(-(1 << 63))),
        "first": JsonOrNull(JsonList(JsonInteger())),
    }
)
LAYER = JsonObject(
    {
        "layer": JsonText(),
        "format": JsonText(),
        "channels": JsonInteger(),
        "cycles": JsonOrNull(JsonInteger()),
        "mac_cycles": JsonOrNull(JsonInteger()),
    }
)
TABLE = JsonObject(
    {
        "path": JsonText(),
        "function": JsonText(),
        "input": JsonText(),
        "output": JsonText(),
        "entries": JsonInteger(),
        "max_error_lsb": MEASURED,
        "monotonic": JsonBoolean(),
        "symmetric": JsonOrNull(JsonBoolean()),
    }
)
LATENCY = JsonObject(
    {
        "cycles": JsonInteger(),
        "clock_mhz": JsonNumber(positive=True),
        "repeats": JsonInteger(),
        "milliseconds": JsonMap(JsonNumber(positive=True)),
    },
    {"clock_of": JsonText()},
)
SIZE = JsonObject(
    {
        "family": JsonText(),
        "luts": JsonInteger(),
        "flip_flops": JsonInteger(),
        "dsps": JsonInteger(),
        "block_rams": JsonInteger(),
    }
)

RESULTS: dict[str, JsonObject] = {
    "train": JsonObject(
        {
            "network": JsonText(),
            "epochs": JsonInteger(),
            "seed": JsonInteger(),
            "seconds": JsonNumber(),
            "result": JsonMap(MEASURED),
        },
        SUBJECT,
    ),
    "sweep": JsonObject(
        {
            "network": JsonText(),
            "metric": JsonText(),
            "more_is_better": JsonBoolean(),
            "float_score": MEASURED,
            "points": JsonList(POINT, least=1),
        },
        SUBJECT | {"mixed": JsonOrNull(MIXED)},
    ),
    "emit": JsonObject(
        {
            "network": JsonText(),
            "engine": JsonObject({"lanes": JsonInteger(1)}),
            "cycles": JsonInteger(),
            "vectors": JsonInteger(),
            "images": JsonList(
                JsonObject({"name": JsonText(), "words": JsonInteger(), "bits": JsonInteger()})
            ),
        },
        SUBJECT
        | {
            "size": JsonOrNull(SIZE),
            "ledger": JsonList(LEDGER),
            "layers": JsonList(LAYER),
            "tables": JsonList(TABLE),
            "latency": JsonOrNull(LATENCY),
            "batch": JsonInteger(1),
            "engine": JsonMap(FIGURE),
        },
    ),
    "verify": JsonObject(
        {
            "network": JsonText(),
            "passed": JsonBoolean(),
            "text": JsonText("a text that is not empty", matches=str.strip),
            "simulator": JsonText(),
        },
        SUBJECT,
    ),
    "generate": JsonObject(
        {"network": JsonText(), "model": JsonList(JsonText()), "verilog": JsonOrNull(JsonList(JsonText()))},
        SUBJECT,
    ),
}
