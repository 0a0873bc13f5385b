// SPDX-License-Identifier: MIT
// Walks the six loops of a run and issues one step per clock: addresses and padding of the step, and what is due with it.
//
//   channel in kx in ky in tile in x in y; address = address + jump of the outermost loop that steps
//
// A run is taken over when `take` is high: its description is held in `run`, one clock sets the counters, then steps are issued.
// Stage 0 is the clock of issue, in which `address` and `weight_address` stand; the memories answer in stage 2. Two
// waits keep the pipeline free of collisions: the last steps of neighbouring tiles are at least as far apart as the first has channels
// (`spacing`), and the last step of a new run's first tile, or the first step of a run with a barrier, waits
// until the last word of the run before is written (`settle`).
// Python twin: `Emulator._addresses` and `Timing` in fixedpoint_nn/hardware/emulate.py.
`include "fields.vh"
`default_nettype none
module loop_nest #(
    // Channels of a tile.
    parameter LANES = 8,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16,
    // Clocks from a tile's last step until its first word can be read again.
    parameter LATENCY = 15
) (
    input  wire                     clock,
    input  wire                     reset,

    // The next run, from the sequencer.
    input  wire                     offered,
    input  wire [`RUN_BITS-1:0]     description,
    output wire                     take,

    // Nothing is being issued, nothing is under way.
    output wire                     idle,

    // Stage 0: the step.
    output reg  [ADDRESS_WIDTH-1:0] address,
    output reg  [ADDRESS_WIDTH-1:0] weight_address,
    output wire                     mac,
    // Stage 0: first results of this run are due; the back end takes `run`.
    output wire                     configure,
    output reg  [`RUN_BITS-1:0]     run,

    // Stage 2: what the lanes load.
    output wire [4:0]               select_2,

    // Stages 3 and 4: what the lanes do with it.
    output wire                     fire_3,
    output wire                     first_3,
    output wire                     maximum_3,
    output wire                     fire_4,
    output wire                     maximum_4,
    output wire                     replace_4,
    output wire                     modelled_4,
    output wire [5:0]               channels_4,

    // Stage 5: a tile is complete; its channels minus one, and whether it is its pixel's last.
    output wire                     complete_5,
    output wire [5:0]               channels_5,
    output wire                     pixel_end_5
);
    localparam [31:0] LANES_BUT_ONE = LANES - 1, WAIT = LATENCY;
    localparam [5:0] FULL_TILE = LANES_BUT_ONE[5:0];
    localparam [4:0] SETTLE = WAIT[4:0];
    localparam [1:0] IDLE = 2'd0, SET_UP = 2'd1, STEP = 2'd2;

    // The run's settings, and the position in its loops (counted down to 0).
    wire paired = run[`RUN_PAIRED];
    wire [15:0] channel_count = run[`RUN_CHANNEL_COUNT +: 16];
    wire [7:0]  kx_count = run[`RUN_KX_COUNT +: 8];
    wire [7:0]  ky_count = run[`RUN_KY_COUNT +: 8];
    wire [15:0] tile_count = run[`RUN_TILE_COUNT +: 16];
    wire [11:0] x_count = run[`RUN_X_COUNT +: 12];
    wire [11:0] y_count = run[`RUN_Y_COUNT +: 12];
    reg  [1:0]  state;
    reg  [15:0] channel, tile;
    reg  [7:0]  kx, ky;
    reg  [11:0] x, y;
    reg         fresh, first_tile, second, barrier;
    reg  [5:0]  spacing;
    reg  [4:0]  settle;

    wire channel_end = channel == 16'd0;
    wire kx_end = channel_end && kx == 8'd0;
    wire tile_end = kx_end && ky == 8'd0;
    wire pixel_end = tile == 16'd0;
    wire row_end = pixel_end && x == 12'd0;
    wire run_end = tile_end && row_end && y == 12'd0;

    wire drained = spacing == 6'd0 && settle == 5'd0;
    wire blocked = barrier && !drained || tile_end && (first_tile ? !drained : spacing != 6'd0);
    wire issue = state == STEP && !blocked;
    wire [5:0] channels = pixel_end ? run[`RUN_LAST_CHANNELS +: 6] : FULL_TILE;

    // Which loops start again with the next step.
    wire set_up = state == SET_UP;
    wire channel_again = set_up || channel_end;
    wire kx_again = set_up || kx == 8'd0;
    wire ky_again = set_up || ky == 8'd0;
    wire tile_again = set_up || pixel_end;
    wire x_again = set_up || row_end;
    wire weights_again = set_up || tile_end && (pixel_end || run[`RUN_PER_TILE]);

    assign mac = issue && (!paired || second);
    assign take = offered && (state == IDLE || issue && run_end);
    assign idle = state == IDLE && drained;
    assign configure = issue && tile_end && first_tile;

    // Where the tap is in the image: origin of the pixel, plus the tap's place in the window.
    wire [12:0] x_origin = run[`RUN_X_ORIGIN +: 13];
    wire [12:0] y_origin = run[`RUN_Y_ORIGIN +: 13];
    reg  [12:0] pixel_x, pixel_y, tap_x, tap_y;
    wire [12:0] next_x = (x_again ? x_origin : pixel_x) + (x_again ? 13'd0 : {5'd0, run[`RUN_X_STEP +: 8]});
    wire [12:0] next_y = (set_up ? y_origin : pixel_y) + (set_up ? 13'd0 : {5'd0, run[`RUN_Y_STEP +: 8]});
    wire padded = run[`RUN_BOUNDED] && (tap_x >= run[`RUN_X_LIMIT +: 13] || tap_y >= run[`RUN_Y_LIMIT +: 13]);

    // The address is 0 when a run is set up, so that its base is one more jump.
    wire [ADDRESS_WIDTH-1:0] jump =
        set_up       ? run[`RUN_ACTIVATION_BASE +: ADDRESS_WIDTH] :
        !channel_end ? run[`RUN_CHANNEL_JUMP +: ADDRESS_WIDTH] :
        !kx_end      ? run[`RUN_KX_JUMP +: ADDRESS_WIDTH] :
        !tile_end    ? run[`RUN_KY_JUMP +: ADDRESS_WIDTH] :
        !pixel_end   ? run[`RUN_TILE_JUMP +: ADDRESS_WIDTH] :
        !row_end     ? run[`RUN_X_JUMP +: ADDRESS_WIDTH] :
                       run[`RUN_Y_JUMP +: ADDRESS_WIDTH];

    initial begin
        if (LATENCY > 31) $fatal(1, "%m: LATENCY = %0d does not fit the wait counter; at most 31", LATENCY);
    end

    wire step = set_up || issue;

    always @(posedge clock) begin
        if (spacing != 6'd0) spacing <= spacing - 6'd1;
        else if (settle != 5'd0) settle <= settle - 5'd1;

        if (take) begin
            run <= description;
            address <= {ADDRESS_WIDTH{1'b0}};
            state <= SET_UP;
        end else if (step) begin
            address <= address + jump;
            if (set_up) state <= STEP;
            else if (run_end) state <= IDLE;
        end

        // Loops count down.
        if (step) begin
            weight_address <= weights_again ? run[`RUN_WEIGHT_BASE +: ADDRESS_WIDTH] : weight_address + 1'b1;
            channel <= channel_again ? channel_count : channel - 16'd1;
            if (fresh && mac) fresh <= 1'b0;
            if (barrier) barrier <= 1'b0;
            if (paired) second <= !second;
            if (channel_again) begin
                kx <= kx_again ? kx_count : kx - 8'd1;
                tap_x <= tap_x + 13'd1;
                if (kx_again) begin
                    ky <= ky_again ? ky_count : ky - 8'd1;
                    tap_x <= pixel_x;
                    tap_y <= tap_y + 13'd1;
                    if (ky_again) begin
                        tile <= tile_again ? tile_count : tile - 16'd1;
                        tap_y <= pixel_y;
                        fresh <= 1'b1;
                        first_tile <= set_up;
                        if (tile_again) begin
                            x <= x_again ? x_count : x - 12'd1;
                            {pixel_x, tap_x} <= {2{next_x}};
                            if (x_again) begin
                                y <= set_up ? y_count : y - 12'd1;
                                {pixel_y, tap_y} <= {2{next_y}};
                            end
                        end
                    end
                end
            end
            if (set_up) begin
                barrier <= run[`RUN_BARRIER];
                second <= 1'b0;
            end
        end
        if (issue && tile_end) begin
            spacing <= channels;
            settle <= SETTLE;
        end

        if (reset) begin
            state <= IDLE;
            spacing <= 6'd0;
            settle <= 5'd0;
        end
    end

    // The step on its way: each stage hands on what is still needed, as one word, which costs a simulator nothing while it stands still.
    wire [16:0] stage_0 = {issue, run[`RUN_VECTOR], paired, padded, run[`RUN_MAXIMUM], second, mac, fresh, run[`RUN_MODELLED],
                           issue && tile_end, pixel_end, channels};
    reg [16:0] stage_1;
    reg [15:0] stage_2;
    reg [11:0] stage_3, stage_4;
    reg [7:0]  stage_5;

    wire issue_1, vector_1, paired_1, padded_1, maximum_1, second_1, mac_1, first_1, modelled_1, complete_1;
    wire [6:0] due_1;
    assign {issue_1, vector_1, paired_1, padded_1, maximum_1, second_1, mac_1, first_1, modelled_1, complete_1, due_1} = stage_1;
    wire [15:0] next_2 = {issue_1 && !second_1, vector_1, paired_1, padded_1, maximum_1, mac_1, first_1, modelled_1, complete_1, due_1};

    wire mac_2, first_2, modelled_2, complete_2;
    wire [6:0] due_2;
    assign {select_2, mac_2, first_2, modelled_2, complete_2, due_2} = stage_2;
    wire [11:0] next_3 = {mac_2, select_2[0], first_2, modelled_2, complete_2, due_2};

    wire modelled_3, complete_3;
    wire [6:0] due_3;
    assign {fire_3, maximum_3, first_3, modelled_3, complete_3, due_3} = stage_3;
    wire [11:0] next_4 = {fire_3, maximum_3, first_3 || maximum_3, modelled_3, complete_3, due_3};

    wire complete_4, pixel_end_4;
    assign {fire_4, maximum_4, replace_4, modelled_4, complete_4, pixel_end_4, channels_4} = stage_4;
    wire [7:0] next_5 = {complete_4, pixel_end_4, channels_4};

    assign {complete_5, pixel_end_5, channels_5} = stage_5;

    initial {stage_1, stage_2, stage_3, stage_4, stage_5} = 65'd0;

    always @(posedge clock) begin
        stage_1 <= stage_0;
        stage_2 <= next_2;
        stage_3 <= next_3;
        stage_4 <= next_4;
        stage_5 <= next_5;
    end
endmodule
`default_nettype wire
