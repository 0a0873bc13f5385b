// SPDX-License-Identifier: MIT
// The multiplier as a proof may see it: a product may be anything, at any time. What holds with this one holds for
// every product, whatever the factors.
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
