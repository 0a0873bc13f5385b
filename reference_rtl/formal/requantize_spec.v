// SPDX-License-Identifier: MIT
// What `requantize` must compute, written a second time and differently: as one combinational formula.
//
// Rounding is an addend before a floor (never floor plus a predicate), overflow a comparison with the two ends of
// the format as numbers (never a test of sign bits). tests/proof/formal.py proves the
// module equal to this for all inputs.
`default_nettype none
module requantize_spec #(
    // Bits of the sum.
    parameter SUM_WIDTH = 48,
    // Bits of the bias.
    parameter BIAS_WIDTH = 32,
    // Bits of the resulting word.
    parameter OUTPUT_WIDTH = 16,
    // Bits of the multiplier; 0: there is none.
    parameter MULTIPLIER_WIDTH = 0,
    // Width that follows; not to be set.
    parameter PRODUCT_WIDTH = (SUM_WIDTH > BIAS_WIDTH ? SUM_WIDTH : BIAS_WIDTH) + 1 + MULTIPLIER_WIDTH
) (
    input  wire                           relu_before,
    input  wire                           relu_after,
    input  wire                           twice,
    input  wire [5:0]                     leak,
    input  wire [2:0]                     rounding,
    input  wire [1:0]                     overflow,
    input  wire [5:0]                     out_bits,
    input  wire                           out_signed,
    // (sum + bias) * multiplier, exact
    input  wire signed [PRODUCT_WIDTH-1:0] product,
    input  wire [5:0]                     shift,
    output wire signed [OUTPUT_WIDTH-1:0] word,
    output wire                           overflowed
);
    // Three bits more than the product needs, for the addend and for a distance that leaves less than a half.
    localparam WIDTH = (MULTIPLIER_WIDTH > 0 && PRODUCT_WIDTH < 32 ? 32 : PRODUCT_WIDTH) + 3;
    localparam signed [WIDTH-1:0] ZERO = 0;
    localparam signed [WIDTH-1:0] ONE = 1;

    // With `twice` 2**31 of the shift are rounded half up before anything else.
    localparam signed [WIDTH-1:0] HALF_OF_31 = ONE << 30;
    wire signed [WIDTH-1:0] given = product;
    wire first = MULTIPLIER_WIDTH != 0 && twice && shift > 31;
    wire once = MULTIPLIER_WIDTH != 0 && twice && shift <= 31;
    wire signed [WIDTH-1:0] exact = first ? (given + HALF_OF_31) >>> 31 : given;
    wire signed [WIDTH-1:0] value = relu_before && exact < ZERO ? ZERO : exact;
    wire [5:0] remaining = first ? shift - 6'd31 : shift;
    wire [5:0] distance = value < ZERO ? remaining + leak : remaining;
    wire [2:0] mode = once ? 3'd2 : rounding;

    // floor((value + addend) / 2**distance); a distance beyond the width leaves less than a half of any value.
    wire far = distance > WIDTH - 3;
    wire signed [WIDTH-1:0] unit = ONE << distance;
    wire signed [WIDTH-1:0] half = distance == 0 ? ZERO : unit >>> 1;
    wire signed [WIDTH-1:0] below_half = distance == 0 ? ZERO : half - ONE;
    wire signed [WIDTH-1:0] up = (value + half) >>> distance;
    wire signed [WIDTH-1:0] down = (value + below_half) >>> distance;
    wire signed [WIDTH-1:0] ceiling = (value + unit - ONE) >>> distance;
    wire signed [WIDTH-1:0] floor = value >>> distance;
    wire tie = up != down;
    reg signed [WIDTH-1:0] near;
    always @* case (mode)
        3'd0: near = floor;
        3'd1: near = value < ZERO ? ceiling : floor;
        3'd2: near = up;
        3'd3: near = down;
        3'd4: near = value < ZERO ? down : up;
        3'd5: near = value < ZERO ? up : down;
        3'd6: near = tie && up[0] ? down : up;
        default: near = floor;
    endcase
    // Far to the right only the sign is left, and only where the floor is kept (mode 7 does not exist: floor).
    wire keeps_floor = mode == 3'd0 || mode == 3'd7;
    wire signed [WIDTH-1:0] rounded = far ? (keeps_floor && value < ZERO ? -ONE : ZERO) : near;

    // The ends of the format, as numbers.
    wire signed [WIDTH-1:0] highest = (ONE << (out_signed ? out_bits - 6'd1 : out_bits)) - ONE;
    wire signed [WIDTH-1:0] most_negative = out_signed ? -highest - ONE : ZERO;
    wire symmetric = overflow == 2'd2 && out_signed;
    wire signed [WIDTH-1:0] lowest = symmetric ? -highest : most_negative;
    wire above = rounded > highest;
    wire below = rounded < lowest;
    wire signed [WIDTH-1:0] modulo = rounded & ((ONE << out_bits) - ONE);
    wire signed [WIDTH-1:0] wrapped = modulo > highest ? modulo - (ONE << out_bits) : modulo;
    reg signed [WIDTH-1:0] fitted;
    always @* case (overflow)
        2'd0: fitted = wrapped;
        2'd3: fitted = above || below ? ZERO : rounded;
        default: fitted = above ? highest : below ? lowest : rounded;
    endcase
    wire signed [WIDTH-1:0] rectified = relu_after && fitted < ZERO ? ZERO : fitted;

    assign word = rectified[OUTPUT_WIDTH-1:0];
    assign overflowed = above || below;
endmodule
`default_nettype wire
