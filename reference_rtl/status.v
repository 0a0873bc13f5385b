// SPDX-License-Identifier: MIT
// Counts what happens from a start on: clocks, multiply-accumulate steps, words that did not fit, accumulators that lost bits.
//
// Python twin: `Result` in fixedpoint_nn/hardware/emulate.py.
`default_nettype none
module status (
    input  wire        clock,
    input  wire        clear,

    input  wire        busy,
    input  wire        mac,
    input  wire        overflowed,
    input  wire        accumulator_lost,

    output reg  [31:0] cycles,
    output reg  [31:0] mac_cycles,
    output reg  [31:0] saturations,
    output reg         accumulator_overflow
);
    wire lossy = overflowed || accumulator_lost;

    always @(posedge clock)
        if (clear) begin
            cycles <= 32'd0;
            mac_cycles <= 32'd0;
            saturations <= 32'd0;
            accumulator_overflow <= 1'b0;
        end else begin
            if (busy) cycles <= cycles + 32'd1;
            if (mac) mac_cycles <= mac_cycles + 32'd1;
            if (lossy) begin
                if (overflowed) saturations <= saturations + 32'd1;
                if (accumulator_lost) accumulator_overflow <= 1'b1;
            end
        end
endmodule
`default_nettype wire
