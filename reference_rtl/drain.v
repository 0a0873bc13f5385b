// SPDX-License-Identifier: MIT
// Sends a tile's sums to the requantiser, one per clock, lane 0 first, each with the parameters of its channel.
//
//   stage 0   totals are complete; channel 0 is selected, its parameter word is addressed
//   stage 2   sum, parameters (from the memory's output register)
//
// The parameter address goes back to its base after every pixel, or with per_tile after every tile.
// With MODEL_WIDTH a modelled sum is wrapped to that many bits here; `wrapped` says that it lost some.
// Python twin: `totals` and `requantized` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module drain #(
    // Lanes.
    parameter LANES = 8,
    // Bits of a lane's sum.
    parameter WIDTH = 48,
    // Bits of the modelled accumulator, if it wraps; else 0.
    parameter WRAP_WIDTH = 0,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                     clock,
    // Synchronous: discards the tile and the sums that are in the pipeline.
    input  wire                     reset,

    // The run's settings.
    input  wire                     configure,
    input  wire [ADDRESS_WIDTH-1:0] parameter_base,
    input  wire                     per_tile,
    input  wire                     modelled,

    // A complete tile: channels minus one; totals stand from the next clock on.
    input  wire                     complete,
    input  wire [5:0]               channels,
    input  wire                     pixel_end,
    input  wire [LANES*WIDTH-1:0]   totals,

    output wire                     parameter_enable,
    output reg  [ADDRESS_WIDTH-1:0] parameter_address,
    output reg                      out_valid,
    output reg                      out_pixel_end,
    output wire signed [WIDTH-1:0]  sum,
    output wire                     wrapped
);
    localparam LANE_BITS = LANES > 1 ? $clog2(LANES) : 1;

    reg draining, last_tile, valid_1, pixel_end_1;
    reg [5:0] left;
    reg [LANE_BITS-1:0] index;
    wire channel_end = left == 6'd0;

    // Selects from four lanes at a time (an array, because synthesis makes a multiplier of a variable part select of
    // `totals`). Groups that do not have the channel give 0; the last "or" is part of the adder that adds the bias.
    localparam SIZE = LANES > 4 ? 4 : LANES;
    localparam GROUPS = LANES / SIZE;
    localparam HALF = GROUPS > 1 ? GROUPS / 2 : 1;
    localparam SIZE_BITS = SIZE > 1 ? $clog2(SIZE) : 1;
    genvar group, lane;
    generate
        for (group = 0; group < GROUPS; group = group + 1) begin : groups
            wire [WIDTH-1:0] choice [0:SIZE-1];
            for (lane = 0; lane < SIZE; lane = lane + 1) begin : choices
                assign choice[lane] = totals[(group*SIZE+lane)*WIDTH +: WIDTH];
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
    endgenerate
    wire [WIDTH-1:0] lower = groups[HALF-1].partial_or;
    wire [WIDTH-1:0] upper = GROUPS > 1 ? groups[GROUPS-1].partial_or : {WIDTH{1'b0}};
    reg [WIDTH-1:0] lower_sum, upper_sum;
    assign sum = lower_sum | upper_sum;

    wire active = complete || configure || draining || valid_1 || out_valid;
    assign parameter_enable = draining || valid_1;

    initial {draining, valid_1, out_valid} = 3'b0;

    always @(posedge clock) begin
        if (active) begin
            if (complete) begin
                draining <= 1'b1;
                index <= {LANE_BITS{1'b0}};
                left <= channels;
                last_tile <= pixel_end;
            end else if (draining) begin
                if (channel_end) draining <= 1'b0;
                index <= index + 1'b1;
                left <= left - 6'd1;
            end

            if (configure) parameter_address <= parameter_base;
            else if (draining)
                parameter_address <= channel_end && (last_tile || per_tile) ? parameter_base : parameter_address + 1'b1;

            {valid_1, out_valid} <= {draining, valid_1};
            if (draining) pixel_end_1 <= channel_end && last_tile;
            if (valid_1) out_pixel_end <= pixel_end_1;
        end
        if (reset) {draining, valid_1, out_valid} <= 3'b0;
    end

    generate
        if (WRAP_WIDTH == 0 || WRAP_WIDTH >= WIDTH) begin : exact
            always @(posedge clock) begin
                if (valid_1) begin
                    lower_sum <= lower;
                    upper_sum <= upper;
                end
            end
            assign wrapped = 1'b0;
        end else begin : wrapping
            localparam EXCESS = WIDTH - WRAP_WIDTH;
            wire [WIDTH-1:0] selected = lower | upper;
            reg lost;
            assign wrapped = lost;
            wire [EXCESS-1:0] excess = {EXCESS{selected[WRAP_WIDTH-1]}};
            always @(posedge clock) begin
                if (valid_1) begin
                    lower_sum <= {modelled ? excess : selected[WIDTH-1:WRAP_WIDTH], selected[WRAP_WIDTH-1:0]};
                    upper_sum <= {WIDTH{1'b0}};
                end
                lost <= valid_1 && modelled && excess != selected[WIDTH-1:WRAP_WIDTH];
            end
        end
    endgenerate
endmodule
`default_nettype wire
