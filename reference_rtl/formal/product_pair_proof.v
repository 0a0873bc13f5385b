// SPDX-License-Identifier: MIT
// What is claimed about `product_pair`: a clock after its inputs it shows the products of both lanes, if they share the
// operand, or that of the one whose turn it is, whose neighbour's factor is 0.
//
// In turns a factor may have all bits; with both it is a weight. `violated` must never be high. tests/proof/formal.py
// proves it.
`default_nettype none
module product_pair_proof #(
    // Bits of an activation word and of a weight.
    parameter ACTIVATION_WIDTH = 9,
    parameter WEIGHT_WIDTH = 8,
    // Widths that follow; not to be set.
    parameter FACTOR_WIDTH = ACTIVATION_WIDTH > WEIGHT_WIDTH ? ACTIVATION_WIDTH : WEIGHT_WIDTH
) (
    input  wire                               clock,
    input  wire                               both,
    input  wire                               second,
    input  wire signed [ACTIVATION_WIDTH-1:0] operand,
    input  wire signed [ACTIVATION_WIDTH-1:0] other,
    input  wire signed [FACTOR_WIDTH-1:0]     factor_0,
    input  wire signed [FACTOR_WIDTH-1:0]     factor_1,
    output wire                               violated
);
    localparam PRODUCT_WIDTH = ACTIVATION_WIDTH + FACTOR_WIDTH;
    localparam SPARE = FACTOR_WIDTH - WEIGHT_WIDTH;
    wire signed [WEIGHT_WIDTH-1:0] weight_0 = factor_0[WEIGHT_WIDTH-1:0], weight_1 = factor_1[WEIGHT_WIDTH-1:0];
    wire signed [FACTOR_WIDTH-1:0] wide_0 = weight_0, wide_1 = weight_1, none = 0;
    wire signed [FACTOR_WIDTH-1:0] used_0 = both ? wide_0 : second ? none : factor_0;
    wire signed [FACTOR_WIDTH-1:0] used_1 = both ? wide_1 : second ? factor_1 : none;
    wire later = !both && second;
    wire signed [PRODUCT_WIDTH-1:0] product_0, product_1;
    wire carry;
    product_pair #(.ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH)) u_combinational_form (
        .clock(clock), .second(later), .operand_0(later ? other : operand), .operand_1(later ? operand : other),
        .factor_0(used_0), .factor_1(used_1), .both(both), .product_0(product_0), .product_1(product_1), .carry(carry)
    );

    // Multiples of the operand, one for each bit of a factor: the highest one counts negative.
    wire signed [PRODUCT_WIDTH-1:0] wide = operand;
    reg signed [PRODUCT_WIDTH-1:0] due_0, due_1;
    integer place;
    always @* begin
        due_0 = used_0[FACTOR_WIDTH-1] ? -(wide <<< (FACTOR_WIDTH - 1)) : {PRODUCT_WIDTH{1'b0}};
        due_1 = used_1[FACTOR_WIDTH-1] ? -(wide <<< (FACTOR_WIDTH - 1)) : {PRODUCT_WIDTH{1'b0}};
        for (place = 0; place < FACTOR_WIDTH - 1; place = place + 1) begin
            if (used_0[place]) due_0 = due_0 + (wide <<< place);
            if (used_1[place]) due_1 = due_1 + (wide <<< place);
        end
    end
    assign violated = !later && product_0 != due_0 || (both || later) && product_1 + carry != due_1;
endmodule
`default_nettype wire
