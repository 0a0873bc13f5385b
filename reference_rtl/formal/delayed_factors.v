// SPDX-License-Identifier: MIT
// The multiplier, abstracted for the proof of a pipeline: its two factors replace the product, with the same
// latency. A product is a function of its factors, so what holds with them holds with it.
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
    output reg                               out_valid,
    output reg  signed [A_WIDTH+B_WIDTH-1:0] product
);
    reg valid_1;
    reg [A_WIDTH+B_WIDTH-1:0] factors;
    assign busy = valid_1 || out_valid;
    always @(posedge clock) begin
        {valid_1, out_valid} <= {in_valid, valid_1};
        if (in_valid) factors <= {a, b};
        if (valid_1) product <= factors;
        if (reset) {valid_1, out_valid} <= 2'b0;
    end
endmodule
`default_nettype wire
