// SPDX-License-Identifier: MIT
// Sends a tile's sums to the requantisers, DRAIN per clock, lane 0 first, each with the parameters of its channel.
//
//   stage 0   totals are complete; channels 0 to DRAIN - 1 are selected, their row of parameters is addressed
//   stage 2   sums, parameters (from the memory's output register)
//
// The last channels of a tile may be fewer than DRAIN. The parameter address goes back to its base after every pixel,
// or with per_tile after every tile.
// With MODEL_WIDTH a modelled sum is wrapped to that many bits here; `wrapped` says that it lost some.
// Python twin: `totals` and `requantized_sums` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module drain #(
    // Lanes.
    parameter LANES = 8,
    // Sums drained per clock: a power of two, at most LANES.
    parameter DRAIN = 1,
    // Bits of a lane's sum.
    parameter WIDTH = 48,
    // Bits of the modelled accumulator, if it wraps; else 0.
    parameter WRAP_WIDTH = 0,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16,
    // Derived bits of a tile's channels minus one; not to be set.
    parameter CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                     clock,
    // Synchronous: discards the tile and the sums in the pipeline.
    input  wire                     reset,

    // The run's settings.
    input  wire                     configure,
    input  wire [ADDRESS_WIDTH-1:0] parameter_base,
    input  wire                     per_tile,
    input  wire                     modelled,

    // A complete tile: its channels minus one; totals are valid from the next clock on.
    input  wire                     complete,
    input  wire [CHANNEL_WIDTH-1:0] channels,
    input  wire                     pixel_end,
    input  wire [LANES*WIDTH-1:0]   totals,

    output wire                     parameter_enable,
    output reg  [ADDRESS_WIDTH-1:0] parameter_address,
    // The valid sums (none, or the first ones), and whether the last of them ends a pixel.
    output reg  [DRAIN-1:0]         out_valid,
    output reg                      out_pixel_end,
    output wire [DRAIN*WIDTH-1:0]   sums,
    output wire                     wrapped
);
    localparam DRAIN_BITS = $clog2(DRAIN);
    localparam CLOCKS = LANES / DRAIN;
    localparam INDEX_WIDTH = CLOCKS > 1 ? $clog2(CLOCKS) : 1;
    localparam [31:0] WORDS = DRAIN;

    reg draining, last_tile, pixel_end_1;
    reg [DRAIN-1:0] valid_1;
    reg [CHANNEL_WIDTH-1:0] left;
    reg [INDEX_WIDTH-1:0] index;
    wire channel_end = ~|(left >> DRAIN_BITS);
    wire [DRAIN-1:0] valid;
    wire [DRAIN-1:0] lost;
    assign wrapped = |lost;

    // Each word is selected from lanes that are DRAIN apart, four at a time (an array, because synthesis makes
    // a multiplier of a variable part select of `totals`). Groups without the channel yield 0; the last "or" merges
    // with the adder of the bias.
    localparam SIZE = CLOCKS > 4 ? 4 : CLOCKS;
    localparam GROUPS = CLOCKS / SIZE;
    localparam HALF = GROUPS > 1 ? GROUPS / 2 : 1;
    localparam SIZE_BITS = SIZE > 1 ? $clog2(SIZE) : 1;
    genvar word, group, lane;
    generate
        for (word = 0; word < DRAIN; word = word + 1) begin : words
            assign valid[word] = draining && (!channel_end || word <= left);

            for (group = 0; group < GROUPS; group = group + 1) begin : groups
                wire [WIDTH-1:0] choice [0:SIZE-1];
                for (lane = 0; lane < SIZE; lane = lane + 1) begin : choices
                    assign choice[lane] = totals[((group*SIZE+lane)*DRAIN+word)*WIDTH +: WIDTH];
                end
                reg [WIDTH-1:0] picked;
                wire clear = draining && GROUPS > 1 && index >> SIZE_BITS != group;
                always @(posedge clock) begin
                    if (draining) picked <= choice[index[SIZE_BITS-1:0]];
                    if (clear) picked <= {WIDTH{1'b0}};
                end
                wire [WIDTH-1:0] partial_or;
                if (group % HALF == 0) begin : first
                    assign partial_or = picked;
                end else begin : further
                    assign partial_or = picked | groups[group-1].partial_or;
                end
            end
            wire [WIDTH-1:0] lower = groups[HALF-1].partial_or;
            wire [WIDTH-1:0] upper = GROUPS > 1 ? groups[GROUPS-1].partial_or : {WIDTH{1'b0}};
            reg [WIDTH-1:0] lower_sum, upper_sum;
            assign sums[word*WIDTH +: WIDTH] = lower_sum | upper_sum;

            if (WRAP_WIDTH == 0 || WRAP_WIDTH >= WIDTH) begin : exact
                always @(posedge clock) begin
                    if (valid_1[0]) begin
                        lower_sum <= lower;
                        upper_sum <= upper;
                    end
                end
                assign lost[word] = 1'b0;
            end else begin : wrapping
                localparam EXCESS = WIDTH - WRAP_WIDTH;
                wire [WIDTH-1:0] selected = lower | upper;
                reg not_kept;
                assign lost[word] = not_kept;
                wire [EXCESS-1:0] excess = {EXCESS{selected[WRAP_WIDTH-1]}};
                always @(posedge clock) begin
                    if (valid_1[0]) begin
                        lower_sum <= {modelled ? excess : selected[WIDTH-1:WRAP_WIDTH], selected[WRAP_WIDTH-1:0]};
                        upper_sum <= {WIDTH{1'b0}};
                    end
                    not_kept <= valid_1[word] && modelled && excess != selected[WIDTH-1:WRAP_WIDTH];
                end
            end
        end
    endgenerate

    wire active = complete || configure || draining || valid_1[0] || out_valid[0];
    assign parameter_enable = draining || valid_1[0];

    initial begin
        draining = 1'b0;
        valid_1 = {DRAIN{1'b0}};
        out_valid = {DRAIN{1'b0}};
    end

    always @(posedge clock) begin
        if (active) begin
            if (complete) begin
                draining <= 1'b1;
                index <= {INDEX_WIDTH{1'b0}};
                left <= channels;
                last_tile <= pixel_end;
            end else if (draining) begin
                if (channel_end) draining <= 1'b0;
                index <= index + 1'b1;
                left <= left - WORDS[CHANNEL_WIDTH-1:0];
            end

            if (configure) parameter_address <= parameter_base;
            else if (draining)
                parameter_address <= channel_end && (last_tile || per_tile) ? parameter_base : parameter_address + 1'b1;

            valid_1 <= valid;
            out_valid <= valid_1;
            if (draining) pixel_end_1 <= channel_end && last_tile;
            if (valid_1[0]) out_pixel_end <= pixel_end_1;
        end
        if (reset) begin
            draining <= 1'b0;
            valid_1 <= {DRAIN{1'b0}};
            out_valid <= {DRAIN{1'b0}};
        end
    end
endmodule
`default_nettype wire
