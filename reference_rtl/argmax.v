// SPDX-License-Identifier: MIT
// The largest word of a run and its index; the first one, if several are largest. Latency: 1 clock.
//
// Python twin: numpy.argmax.
`default_nettype none
module argmax #(
    // Bits of a word.
    parameter WIDTH = 16,
    // Bits of the index.
    parameter INDEX_WIDTH = 16
) (
    input  wire                    clock,
    // A new search begins.
    input  wire                    clear,
    input  wire                    valid,
    input  wire signed [WIDTH-1:0] word,
    output reg  [INDEX_WIDTH-1:0]  index,
    output reg  signed [WIDTH-1:0] best
);
    reg [INDEX_WIDTH-1:0] place;
    reg empty;

    always @(posedge clock)
        if (clear) begin
            place <= {INDEX_WIDTH{1'b0}};
            index <= {INDEX_WIDTH{1'b0}};
            empty <= 1'b1;
        end else if (valid) begin
            place <= place + 1'b1;
            empty <= 1'b0;
            if (empty || word > best) begin
                index <= place;
                best <= word;
            end
        end
endmodule
`default_nettype wire
