// SPDX-License-Identifier: MIT
// One exact product per clock. Latency: 2 clocks.
//
//   1  partial products: of the low 17 bits of b, which are no signed number, and of its high bits, which are one
//   2  product = a * b
//
// A factor b of at most 18 bits is not split. A DSP block multiplies 25 by 18 bits, so a product with 32 bits takes
// two if a has at most 25 bits.
// Python twin: `exact_products` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module multiply #(
    // Bits of the factors, at least 2.
    parameter A_WIDTH = 25,
    parameter B_WIDTH = 32
) (
    input  wire                              clock,
    // Synchronous: discards the products in the pipeline.
    input  wire                              reset,

    input  wire                              in_valid,
    input  wire signed [A_WIDTH-1:0]         a,
    input  wire signed [B_WIDTH-1:0]         b,

    // busy: a product is between in_valid and out_valid, or comes out.
    output wire                              busy,
    output reg                               out_valid,
    output reg  signed [A_WIDTH+B_WIDTH-1:0] product
);
    reg valid_1;
    assign busy = valid_1 || out_valid;
    wire active = in_valid || busy;
    wire signed [A_WIDTH+B_WIDTH-1:0] sum_of_partials;

    initial {valid_1, out_valid} = 2'b0;

    always @(posedge clock) begin
        if (active) begin
            {valid_1, out_valid} <= {in_valid, valid_1};
            if (valid_1) product <= sum_of_partials;
        end
        if (reset) {valid_1, out_valid} <= 2'b0;
    end

    generate
        if (B_WIDTH <= 18) begin : whole
            reg signed [A_WIDTH+B_WIDTH-1:0] partial;
            assign sum_of_partials = partial;
            always @(posedge clock) if (in_valid) partial <= a * b;
        end else begin : divided
            localparam LOW = 17;
            localparam HIGH = B_WIDTH - LOW;
            wire signed [LOW:0] low = {1'b0, b[LOW-1:0]};
            wire signed [HIGH-1:0] high = b[B_WIDTH-1:LOW];
            reg signed [A_WIDTH+LOW:0] low_partial;
            reg signed [A_WIDTH+HIGH-1:0] high_partial;
            assign sum_of_partials = {high_partial, {LOW{1'b0}}}
                + {{HIGH{low_partial[A_WIDTH+LOW]}}, low_partial[A_WIDTH+LOW-1:0]};
            always @(posedge clock) begin
                if (in_valid) begin
                    low_partial <= a * low;
                    high_partial <= a * high;
                end
            end
        end
    endgenerate
endmodule
`default_nettype wire
