// SPDX-License-Identifier: MIT
// Quantises a product, combinationally: floor, add one where the rounding's predicate holds, overflow.
//
//   quantised = overflow(floor(product / 2**SHIFT) + round)
//
// Python twin: `Quantizer.from_ints` in fixedpoint_nn/numerics/quantizer.py.
`default_nettype none
module quantize_product #(
    // Bits of the product and of the result.
    parameter WIDTH = 48,
    // Bits of the product's format.
    parameter BITS = 16,
    // Fraction bits that are dropped.
    parameter SHIFT = 0,
    // The product's format is signed.
    parameter SIGNED = 1,
    // Codes as in docs/engine.md.
    parameter ROUNDING = 0,
    parameter OVERFLOW = 0
) (
    input  wire signed [WIDTH-1:0] product,
    output reg  signed [WIDTH-1:0] quantised
);
    localparam [WIDTH-1:0] ONE = 1;
    localparam signed [WIDTH-1:0] HIGHEST = (ONE <<< (BITS - (SIGNED != 0 ? 1 : 0))) - ONE;
    localparam signed [WIDTH-1:0] LOWEST = SIGNED != 0 ? -HIGHEST - 1 : 0;
    localparam signed [WIDTH-1:0] SYMMETRIC = SIGNED != 0 ? -HIGHEST : 0;
    localparam [WIDTH-1:0] HALF = SHIFT == 0 ? 0 : ONE << (SHIFT == 0 ? 0 : SHIFT - 1);
    localparam [WIDTH-1:0] BELOW_HALF = SHIFT == 0 ? 0 : HALF - ONE;

    wire negative = product[WIDTH-1];
    wire half = |(product & HALF);
    wire sticky = |(product & BELOW_HALF);
    wire signed [WIDTH-1:0] floor = product >>> SHIFT;
    reg round;
    reg signed [WIDTH-1:0] rounded;

    always @* begin
        case (ROUNDING)
            1: round = negative && (half || sticky);
            2: round = half;
            3: round = half && sticky;
            4: round = half && (sticky || !negative);
            5: round = half && (sticky || negative);
            6: round = half && (sticky || floor[0]);
            default: round = 1'b0;
        endcase
        rounded = floor + $signed({{(WIDTH-1){1'b0}}, round});
        quantised = rounded;
        if (OVERFLOW == 0)
            quantised = SIGNED != 0 ? (rounded <<< (WIDTH - BITS)) >>> (WIDTH - BITS)
                                    : $signed(rounded & HIGHEST);
        else if (rounded > HIGHEST) quantised = OVERFLOW == 3 ? {WIDTH{1'b0}} : HIGHEST;
        else if (rounded < LOWEST) quantised = OVERFLOW == 3 ? {WIDTH{1'b0}} : OVERFLOW == 2 ? SYMMETRIC : LOWEST;
        else if (OVERFLOW == 2 && rounded < SYMMETRIC) quantised = SYMMETRIC;
    end
endmodule
`default_nettype wire
