// SPDX-License-Identifier: MIT
// The noise generator: a 32-bit Galois LFSR that makes 16 steps for every number drawn. Latency: 1 clock.
//
//   step:  state = state >> 1 ^ (state[0] ? 0x80200003 : 0)
//
// Python twin: `Noise` in fixedpoint_nn/hardware/emulate.py.
`default_nettype none
module noise (
    input  wire        clock,
    // A new start: the state becomes the seed (0 counts as all ones).
    input  wire        start,
    input  wire [31:0] seed,
    // The number has been used.
    input  wire        draw,
    output reg  [31:0] state
);
    reg [31:0] next;
    integer step;
    always @* begin
        next = state;
        for (step = 0; step < 16; step = step + 1)
            next = {1'b0, next[31:1]} ^ (next[0] ? 32'h80200003 : 32'h0);
    end

    always @(posedge clock)
        if (start) state <= |seed ? seed : 32'hFFFFFFFF;
        else if (draw) state <= next;
endmodule
`default_nettype wire
