// SPDX-License-Identifier: MIT
// Adds the sums of groups of lanes, which are partial sums of the same channels.
//
//   sums[i] = totals[i] + totals[i + n] + totals[i + 2 n] + ...,  n = LANES / 2**groups,  i < n
//
// An adder tree: halves are added `groups` times; with `groups` 0 the totals pass. Latency: 1 clock after
// `complete`; the sums then stay until the next tile is complete.
// Python twin: `totals` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module group_sum #(
    // Lanes: a power of two.
    parameter LANES = 8,
    // Most groups: a power of two, at most LANES.
    parameter WORDS = 2,
    // Bits of a sum.
    parameter WIDTH = 48
) (
    input  wire                   clock,

    // A complete tile, and log2 of the number of groups to add.
    input  wire                   complete,
    input  wire [2:0]             groups,
    input  wire [LANES*WIDTH-1:0] totals,

    output reg  [LANES*WIDTH-1:0] sums
);
    localparam LEVELS = $clog2(WORDS);

    genvar level, lane;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : levels
            localparam COUNT = LANES >> level;
            localparam [31:0] LEVEL = level;
            wire [LANES*WIDTH-1:0] part;
            if (level == 0) begin : first
                assign part = totals;
            end else begin : further
                wire added = groups >= LEVEL[2:0];
                for (lane = 0; lane < COUNT; lane = lane + 1) begin : lanes
                    assign part[lane*WIDTH +: WIDTH] = levels[level-1].part[lane*WIDTH +: WIDTH]
                        + (levels[level-1].part[(lane+COUNT)*WIDTH +: WIDTH] & {WIDTH{added}});
                end
                assign part[LANES*WIDTH-1:COUNT*WIDTH] = levels[level-1].part[LANES*WIDTH-1:COUNT*WIDTH];
            end
        end
    endgenerate

    always @(posedge clock) if (complete) sums <= levels[LEVELS].part;
endmodule
`default_nettype wire
