// SPDX-License-Identifier: MIT
// The products of two lanes in one multiplier. Latency: 1 clock.
//
//   packed   = {factor_1, PLACE zeros} + factor_0
//   both     operand * packed = {operand * factor_1, PLACE zeros} + operand * factor_0: the low PLACE bits are those of
//            product_0, and what it borrowed from product_1, if it is negative, is the carry
//   in turns the factor of the lane that is still is 0, and the product of the other one stands where it belongs
//
// A product of ACTIVATION_WIDTH and WEIGHT_WIDTH bits is determined by its low PLACE = ACTIVATION_WIDTH + WEIGHT_WIDTH
// - 1 bits: the ambiguous -2**(PLACE-1) is no product. In turns a factor may be as wide as an activation.
// `packed` has 25 bits, as a DSP block's port, if activations have 9 bits and weights 8.
// Python twin: `totals` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module product_pair #(
    // Bits of an activation word.
    parameter ACTIVATION_WIDTH = 9,
    // Bits of a weight.
    parameter WEIGHT_WIDTH = 8,
    // Derived widths; not to be set.
    parameter FACTOR_WIDTH = ACTIVATION_WIDTH > WEIGHT_WIDTH ? ACTIVATION_WIDTH : WEIGHT_WIDTH,
    parameter PRODUCT_WIDTH = ACTIVATION_WIDTH + FACTOR_WIDTH
) (
    input  wire                               clock,

    // The lane whose operand is multiplied (with both: either's), and the factors.
    input  wire                               second,
    input  wire signed [ACTIVATION_WIDTH-1:0] operand_0,
    input  wire signed [ACTIVATION_WIDTH-1:0] operand_1,
    input  wire signed [FACTOR_WIDTH-1:0]     factor_0,
    input  wire signed [FACTOR_WIDTH-1:0]     factor_1,

    // One clock later: whether both lanes multiplied. The second lane's product is product_1 + carry.
    input  wire                               both,
    output wire signed [PRODUCT_WIDTH-1:0]    product_0,
    output wire signed [PRODUCT_WIDTH-1:0]    product_1,
    output wire                               carry
);
    localparam PLACE = ACTIVATION_WIDTH + WEIGHT_WIDTH - 1;
    // One bit more than a weight, because the product below may borrow.
    localparam HIGH = ACTIVATION_WIDTH > WEIGHT_WIDTH ? ACTIVATION_WIDTH : WEIGHT_WIDTH + 1;
    localparam WIDTH = ACTIVATION_WIDTH + PLACE + HIGH;

    wire signed [ACTIVATION_WIDTH-1:0] operand = second ? operand_1 : operand_0;
    wire [HIGH-1:0] wide_factor_1 = {{(HIGH-FACTOR_WIDTH+1){factor_1[FACTOR_WIDTH-1]}}, factor_1[FACTOR_WIDTH-2:0]};
    wire [PLACE-1:0] wide_factor_0 = {{(PLACE-FACTOR_WIDTH+1){factor_0[FACTOR_WIDTH-1]}}, factor_0[FACTOR_WIDTH-2:0]};
    wire [HIGH-1:0] borrowed = {HIGH{factor_0[FACTOR_WIDTH-1]}} + wide_factor_1;
    wire signed [PLACE+HIGH-1:0] packed_factors = {borrowed, wide_factor_0};
    reg signed [WIDTH-1:0] products;
    always @(posedge clock) products <= operand * packed_factors;

    wire below_0 = products[PLACE-1] && |products[PLACE-2:0];
    assign product_0 = both ? {{(PRODUCT_WIDTH-PLACE){below_0}}, products[PLACE-1:0]} : products[PRODUCT_WIDTH-1:0];
    assign product_1 = products[PLACE +: PRODUCT_WIDTH];
    assign carry = below_0;
endmodule
`default_nettype wire
