// SPDX-License-Identifier: MIT
// The noise generator: a 32-bit linear feedback shift register that makes 16 steps for every number drawn.
// Latency: 1 clock.
//
//   step:  state = {state[0] ^ state[1] ^ state[2] ^ state[22], state[31:1]}      (period 2**32 - 1)
//
// Python twin: `Noise` in fixedpoint_nn/hardware/isa/lfsr.py.
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
    // The 16 bits that follow the state; the last six depend on the first.
    wire [9:0] feedback_lo = state[9:0] ^ state[10:1] ^ state[11:2] ^ state[31:22];
    wire [5:0] feedback_hi = state[15:10] ^ state[16:11] ^ state[17:12] ^ feedback_lo[5:0];

    wire no_seed = start && ~|seed;

    always @(posedge clock)
        if (no_seed) state <= 32'hFFFFFFFF;
        else if (start) state <= seed;
        else if (draw) state <= {feedback_hi, feedback_lo, state[31:16]};
endmodule
`default_nettype wire
