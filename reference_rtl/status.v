// SPDX-License-Identifier: MIT
// The status registers since a start: clocks, multiply-accumulate steps, saturated words, overflow of
// accumulators.
//
// Python twin: `Result` in fixedpoint_nn/hardware/emulator/result.py.
`default_nettype none
module status #(
    // Words per clock.
    parameter DRAIN = 1,
    // Bits of each counter, 1 to 32; it wraps to 0.
    parameter WIDTH = 32
) (
    input  wire             clock,
    input  wire             clear,

    input  wire             busy,
    input  wire             mac,
    // The words of this clock that did not fit.
    input  wire [DRAIN-1:0] overflowed,
    input  wire             accumulator_lost,

    output wire [31:0]      cycles,
    output wire [31:0]      mac_cycles,
    output wire [31:0]      saturations,
    output reg              accumulator_overflow
);
    localparam [WIDTH-1:0] NONE = 0, ONE = 1;
    reg [WIDTH-1:0] clocks, steps, misfits;
    assign cycles = clocks;
    assign mac_cycles = steps;
    assign saturations = misfits;

    wire anything_lost = |overflowed || accumulator_lost;
    reg [WIDTH-1:0] new_misfits;
    integer word;
    always @* begin
        new_misfits = NONE;
        for (word = 0; word < DRAIN; word = word + 1)
            if (overflowed[word]) new_misfits = new_misfits + ONE;
    end

    always @(posedge clock)
        if (clear) begin
            clocks <= NONE;
            steps <= NONE;
            misfits <= NONE;
            accumulator_overflow <= 1'b0;
        end else begin
            if (busy) clocks <= clocks + ONE;
            if (mac) steps <= steps + ONE;
            if (anything_lost) begin
                misfits <= misfits + new_misfits;
                if (accumulator_lost) accumulator_overflow <= 1'b1;
            end
        end
endmodule
`default_nettype wire
