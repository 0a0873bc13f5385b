// SPDX-License-Identifier: MIT
// The multiplier, abstracted for proofs: its product is unconstrained in every clock. What holds with this one holds
// for every product.
`default_nettype none
module multiply #(
    parameter A_WIDTH = 25,
    parameter B_WIDTH = 32
) (
    input  wire                              clock,
    input  wire                              reset,
    input  wire                              in_valid,
    input  wire signed [A_WIDTH-1:0]         a,
    input  wire signed [B_WIDTH-1:0]         b,
    output wire                              busy,
    output wire                              out_valid,
    output wire signed [A_WIDTH+B_WIDTH-1:0] product
);
    wire signed [A_WIDTH+B_WIDTH-1:0] anything;
    assign busy = in_valid;
    assign out_valid = in_valid;
    assign product = anything;
endmodule
`default_nettype wire
