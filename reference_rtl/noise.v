// SPDX-License-Identifier: MIT
// The noise generator: a 32-bit linear feedback shift register that makes 16 steps for every number drawn, and up to
// DRAIN numbers a clock. Latency: 1 clock.
//
//   step:  state = {state[0] ^ state[1] ^ state[2] ^ state[22], state[31:1]}      (period 2**32 - 1)
//
// The states are windows of one series of bits with b[n+32] = b[n] ^ b[n+1] ^ b[n+2] ^ b[n+22]. Over two elements, the
// square of a polynomial has its exponents doubled: b[n+32S] = b[n] ^ b[n+S] ^ b[n+2S] ^ b[n+22S] for every power of
// two S. So every bit takes few exclusive ors from the state.
// Python twin: `Noise` in fixedpoint_nn/hardware/isa/lfsr.py.
`default_nettype none
module noise #(
    // Numbers that can be drawn in one clock.
    parameter DRAIN = 1
) (
    input  wire                clock,
    // A new start: the state becomes the seed (0 counts as all ones).
    input  wire                start,
    input  wire [31:0]         seed,
    // The numbers that were used: none, or the first ones.
    input  wire [DRAIN-1:0]    draw,
    output reg  [DRAIN*32-1:0] numbers
);
    localparam LENGTH = 16 * DRAIN + 32;
    reg [31:0] state;
    reg [LENGTH-1:0] series;
    integer stride, place, number;
    always @* begin
        series = {{(LENGTH-32){1'b0}}, state};
        for (stride = 1; 32 * stride < LENGTH; stride = 2 * stride)
            for (place = 32 * stride; place < 64 * stride && place < LENGTH; place = place + 1)
                series[place] = series[place-32*stride] ^ series[place-31*stride] ^ series[place-30*stride]
                              ^ series[place-10*stride];
        for (number = 0; number < DRAIN; number = number + 1)
            numbers[32*number +: 32] = series[16*number +: 32];
    end

    wire no_seed = start && ~|seed;
    integer used;

    always @(posedge clock)
        if (no_seed) state <= 32'hFFFFFFFF;
        else if (start) state <= seed;
        else
            for (used = 0; used < DRAIN; used = used + 1)
                if (draw[used]) state <= series[16*used+16 +: 32];
endmodule
`default_nettype wire
