// SPDX-License-Identifier: MIT
// Walks the six loops of a run and issues one step per clock: its addresses, its padding, and its control signals.
//
//   channel in kx in ky in tile in x in y; address = address + jump of the outermost loop that steps
//
// A run is taken over when `take` is high: its description is held in `run`, one clock sets the counters, then steps
// are issued. Stage 0 is the clock of issue, in which `address` and `weight_address` stand; the memories answer in
// stage 2. Two waits prevent collisions in the pipeline: the last steps of consecutive tiles are as many clocks
// apart as draining the first one takes (`spacing`), and the last step of a new run's first tile, or the
// first step of a run with a barrier, waits until the last word of the run before is written (`settle`). A step with
// streamed weights waits for its row (`row_missing`, weight_window.v).
// With PACK = 2 the lanes of a pair share a multiplier. If they do not share the operand they take turns: a multiplying
// step then takes two clocks, one for the first lanes and one for the second lanes, in which it is issued.
// Python twin: `walked` in fixedpoint_nn/hardware/emulator/loop_nest.py,
// `Timing` in fixedpoint_nn/hardware/isa/timing.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "fields.vh"
`default_nettype none
module loop_nest #(
    // Channels of a tile.
    parameter LANES = 8,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16,
    // Sums drained per clock: a power of two, at most LANES.
    parameter DRAIN = 1,
    // Activation words that a step may read; with 1 there are no groups of lanes, and no early run.
    parameter WORDS = 1,
    // Lanes that share a multiplier: 1 or 2.
    parameter PACK = 1,
    // Clocks from a tile's last step until its first word can be read again.
    parameter LATENCY = 15,
    // Derived bits of a tile's channels minus one; not to be set.
    parameter CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                     clock,
    input  wire                     reset,

    // The next run, from the sequencer.
    input  wire                     offered,
    input  wire [`RUN_BITS-1:0]     description,
    output wire                     take,

    // No run is held, and the last word of the last run is written.
    output wire                     idle,

    // The row of weights of the next step is not there yet.
    input  wire                     row_missing,

    // A run is set up; its rows of weights restart after this step; it is in their last pass; it waits only for a
    // missing row.
    output wire                     set_up,
    output wire                     weights_restart,
    output wire                     last_pass,
    output wire                     row_awaited,

    // Stage 0: the step.
    output reg  [ADDRESS_WIDTH-1:0] address,
    output reg  [ADDRESS_WIDTH-1:0] weight_address,
    output wire                     mac,
    // Stage 0: the first results of this run are due; the back end takes over `run`.
    output wire                     configure,
    output reg  [`RUN_BITS-1:0]     run,

    // Stage 2: what the lanes load.
    output wire [4:0]               select_2,

    // Stage 2: which of the words that were read count as padding, how many groups of lanes there are (as a power of
    // two), and whether they read every second word.
    output wire [WORDS-1:0]         padding_2,
    output wire [2:0]               groups_2,
    output wire                     skip_2,

    // The slow path: the lanes do more than load a broadcast operand and a weight, multiply and add.
    output wire                     slow_path,

    // Stages 2, 3 and 4: what the lanes do with it. Bit i of fire: lanes i, i + PACK, ... multiply.
    output wire [PACK-1:0]          fire_2,
    output wire [PACK-1:0]          fire_3,
    output wire                     first_3,
    output wire                     maximum_3,
    output wire [PACK-1:0]          fire_4,
    output wire                     maximum_4,
    output wire                     replace_4,
    output wire                     modelled_4,
    output wire [CHANNEL_WIDTH-1:0] channels_4,

    // Stage 5: a tile is complete; how many groups are added up (as a power of two), its channels minus one, and
    // whether it is its pixel's last.
    output wire                     complete_5,
    output wire [2:0]               join_5,
    output wire [CHANNEL_WIDTH-1:0] channels_5,
    output wire                     pixel_end_5
);
    localparam [31:0] LANES_BUT_ONE = LANES - 1, WAIT = LATENCY;
    localparam [CHANNEL_WIDTH-1:0] FULL_TILE = LANES_BUT_ONE[CHANNEL_WIDTH-1:0], NO_CHANNELS = 0;
    // Bits of the number of clocks to drain a tile, minus one.
    localparam SPACING_WIDTH = LANES / DRAIN > 1 ? $clog2(LANES / DRAIN) : 1;
    localparam [SPACING_WIDTH-1:0] NO_SPACING = 0, ONE_CLOCK = 1;
    localparam [4:0] SETTLE = WAIT[4:0];
    localparam GROUPED = WORDS > 1;
    localparam [12:0] BEFORE = 13'h1fff;
    localparam [1:0] IDLE = 2'd0, SET_UP = 2'd1, STEP = 2'd2;

    // The run's settings (counts are one less than the loop's steps), and the position in its loops, counted up from 1:
    // a counter that is only incremented or set to a constant costs no logic, and a comparison half of what loading it
    // would. Whether a step is a loop's last is known a step before, in a register of one bit: a counter that equals
    // its count says that the next step is the last.
    wire paired = run[`RUN_PAIRED];
    wire [15:0] channel_count = run[`RUN_CHANNEL_COUNT +: 16];
    wire [7:0]  kx_count = run[`RUN_KX_COUNT +: 8];
    wire [7:0]  ky_count = run[`RUN_KY_COUNT +: 8];
    wire [15:0] tile_count = run[`RUN_TILE_COUNT +: 16];
    wire [11:0] x_count = run[`RUN_X_COUNT +: 12];
    wire [11:0] y_count = run[`RUN_Y_COUNT +: 12];
    reg  [1:0]  state;
    reg  [15:0] channel, tile;
    reg  [8:0]  kx, ky;
    reg  [11:0] x, y;
    reg         channel_end, kx_last, ky_last, pixel_end, x_last, y_last;
    reg         first_tap, first_tile, second_operand, barrier;
    reg  [4:0]  settle;
    reg  [SPACING_WIDTH-1:0] spacing;

    wire kx_end = channel_end && kx_last;
    wire tile_end = kx_end && ky_last;
    wire row_end = pixel_end && x_last;
    wire run_end = tile_end && row_end && y_last;

    wire drained = spacing == NO_SPACING && settle == 5'd0;
    // The clocks until all results are readable, compared with those by which a run with a barrier may be early.
    localparam [8:0] NO_WAIT = 0;
    wire [8:0] remaining = {NO_WAIT[8:SPACING_WIDTH], spacing} + {4'd0, settle};
    wire early = GROUPED && remaining <= {3'd0, run[`RUN_EARLY +: 6]};
    wire blocked = barrier && !drained && !early || tile_end && (first_tile ? !drained : spacing != NO_SPACING);
    // The first lanes' turn is one clock before the step, after which nothing blocks the step.
    wire ready = state == STEP && !blocked && !row_missing;
    assign row_awaited = state == STEP && !blocked && row_missing;
    wire first_turn;
    wire issue = ready && !first_turn;
    wire [PACK-1:0] fire_0;
    generate
        if (PACK > 1) begin : in_turns
            reg first_done;
            assign first_turn = ready && (paired ? second_operand : run[`RUN_VECTOR]) && !first_done;
            assign fire_0 = {mac, mac && !first_done || first_turn};
            initial first_done = 1'b0;
            always @(posedge clock) first_done <= first_turn && !reset;
        end else begin : at_once
            assign first_turn = 1'b0;
            assign fire_0 = mac;
        end
    endgenerate
    wire [2:0] joined = GROUPED && run[`RUN_JOINED] ? run[`RUN_GROUPS +: 3] : 3'd0;
    wire [CHANNEL_WIDTH-1:0] channels = pixel_end ? run[`RUN_LAST_CHANNELS +: CHANNEL_WIDTH] : FULL_TILE >> joined;
    // The clocks minus one to drain this many channels minus one.
    wire [SPACING_WIDTH-1:0] drain_clocks = LANES == DRAIN ? NO_SPACING : channels[CHANNEL_WIDTH-1 -: SPACING_WIDTH];

    // The loops that restart with the next step.
    assign set_up = state == SET_UP;
    wire channel_restart = set_up || channel_end;
    wire kx_restart = set_up || kx_last;
    wire ky_restart = set_up || ky_last;
    wire tile_restart = set_up || pixel_end;
    wire x_restart = set_up || row_end;
    assign weights_restart = set_up || tile_end && (pixel_end || run[`RUN_PER_TILE]);

    assign last_pass = x_last && y_last && (pixel_end || !run[`RUN_PER_TILE]);

    assign mac = issue && (!paired || second_operand);
    assign take = offered && (state == IDLE || issue && run_end);
    assign idle = state == IDLE && drained;
    assign configure = issue && tile_end && first_tile;

    // The tap's position in the image: the column before the pixel's first tap, plus that in the window, from 1 on.
    // The selected operand is the second one of the sum, where synthesis merges it with the adder.
    wire [12:0] x_origin = run[`RUN_X_ORIGIN +: 13];
    wire [12:0] y_origin = run[`RUN_Y_ORIGIN +: 13];
    reg  [12:0] pixel_x, pixel_y;
    // With `spread` the columns advance from tile to tile, and restart with every pixel.
    wire spread = GROUPED && run[`RUN_SPREAD];
    wire columns_restart = spread ? tile_restart : x_restart;
    wire [12:0] next_x =
        (columns_restart ? BEFORE : {5'd0, run[`RUN_X_STEP +: 8]}) + (columns_restart ? x_origin : pixel_x);
    wire [12:0] next_y = (set_up ? BEFORE : {5'd0, run[`RUN_Y_STEP +: 8]}) + (set_up ? y_origin : pixel_y);
    wire [12:0] tap_x = pixel_x + {4'd0, kx};
    wire [12:0] tap_y = pixel_y + {4'd0, ky};
    wire padded =
        run[`RUN_BOUNDED] && (!spread && tap_x >= run[`RUN_X_LIMIT +: 13] || tap_y >= run[`RUN_Y_LIMIT +: 13]);

    // The address is 0 when a run is set up, so that its base is one more jump. Two selectors of four.
    wire [1:0] inner_select = {!set_up && channel_end, set_up || channel_end && kx_end};
    wire [1:0] outer_select = {tile_end && pixel_end, tile_end && (!pixel_end || row_end)} & {2{!set_up}};
    wire [ADDRESS_WIDTH-1:0] inner_jump =
        inner_select[1]
            ? (inner_select[0] ? run[`RUN_KY_JUMP +: ADDRESS_WIDTH] : run[`RUN_KX_JUMP +: ADDRESS_WIDTH])
            : (inner_select[0] ? run[`RUN_ACTIVATION_BASE +: ADDRESS_WIDTH] : run[`RUN_CHANNEL_JUMP +: ADDRESS_WIDTH]);
    wire [ADDRESS_WIDTH-1:0] jump =
        outer_select[1]
            ? (outer_select[0] ? run[`RUN_Y_JUMP +: ADDRESS_WIDTH] : run[`RUN_X_JUMP +: ADDRESS_WIDTH])
            : (outer_select[0] ? run[`RUN_TILE_JUMP +: ADDRESS_WIDTH] : inner_jump);

    initial begin
        if (LATENCY > 31) $fatal(1, "%m: LATENCY = %0d does not fit the wait counter; at most 31", LATENCY);
    end

    // The counters that advance. A counter is cleared by a separate condition, not within that of its steps, so that
    // it becomes the register's synchronous reset.
    wire step = set_up || issue;
    wire step_kx = step && channel_restart;
    wire step_ky = step_kx && kx_restart;
    wire step_tile = step_ky && ky_restart;
    wire step_x = step_tile && tile_restart;
    wire step_y = step_x && x_restart;
    wire tile_issued = issue && tile_end;
    wire flags_enable = step && (set_up || barrier || paired || first_tap || tile_end);

    always @(posedge clock) begin
        if (!drained)
            if (spacing != NO_SPACING) spacing <= spacing - ONE_CLOCK;
            else settle <= settle - 5'd1;

        if (step) begin
            address <= address + jump;
            weight_address <= weights_restart ? run[`RUN_WEIGHT_BASE +: ADDRESS_WIDTH] : weight_address + 1'b1;
            channel <= channel + 16'd1;
            channel_end <= channel_restart ? channel_count == 16'd0 : channel == channel_count;
        end
        if (step_kx) begin
            channel <= 16'd1;
            kx <= kx + 9'd1;
            kx_last <= kx_restart ? kx_count == 8'd0 : kx == {1'b0, kx_count};
        end
        if (step_ky) begin
            kx <= 9'd1;
            ky <= ky + 9'd1;
            ky_last <= ky_restart ? ky_count == 8'd0 : ky == {1'b0, ky_count};
        end
        if (step_tile) begin
            ky <= 9'd1;
            tile <= tile + 16'd1;
            pixel_end <= tile_restart ? tile_count == 16'd0 : tile == tile_count;
        end
        if (step_x) begin
            tile <= 16'd1;
            x <= x + 12'd1;
            x_last <= x_restart ? x_count == 12'd0 : x == x_count;
        end
        if (spread ? step_tile : step_x) pixel_x <= next_x;
        if (step_y) begin
            x <= 12'd1;
            y <= set_up ? 12'd1 : y + 12'd1;
            y_last <= set_up ? y_count == 12'd0 : y == y_count;
            pixel_y <= next_y;
        end

        if (flags_enable) begin
            if (mac) first_tap <= 1'b0;
            barrier <= 1'b0;
            if (paired) second_operand <= !second_operand;
            if (step_tile) begin
                first_tap <= 1'b1;
                first_tile <= set_up;
            end
            if (set_up) begin
                barrier <= run[`RUN_BARRIER];
                second_operand <= 1'b0;
                state <= STEP;
            end else if (run_end) state <= IDLE;
        end
        if (take) begin
            run <= description;
            address <= {ADDRESS_WIDTH{1'b0}};
            state <= SET_UP;
        end

        if (tile_issued) begin
            spacing <= drain_clocks;
            settle <= SETTLE;
        end

        if (reset) begin
            state <= IDLE;
            spacing <= NO_SPACING;
            settle <= 5'd0;
        end
    end

    // The control signals of the steps in stages 1 to 5. Each stage keeps those that are still needed, all in one
    // register, which costs a simulator little while it does not change.
    localparam C = CHANNEL_WIDTH, F = PACK;
    localparam [F-1:0] EVERY_LANE = {F{1'b1}};
    wire [C+F+9:0] stage_0 = {issue || first_turn, run[`RUN_VECTOR], paired, padded, run[`RUN_MAXIMUM], second_operand,
                            fire_0, first_tap, run[`RUN_MODELLED], issue && tile_end, pixel_end, channels};
    wire [C+F+9:0] stage_1;
    wire [C+F+8:0] stage_2;
    wire [C+F+4:0] stage_3, stage_4;
    wire [C+1:0]   stage_5;
    reg  [5*C+4*F+30:0] stages;
    assign {stage_1, stage_2, stage_3, stage_4, stage_5} = stages;

    wire issue_1, vector_1, paired_1, padded_1, maximum_1, second_1, first_1, modelled_1, complete_1;
    wire [F-1:0] fire_1;
    wire [C:0] due_1;
    assign {issue_1, vector_1, paired_1, padded_1, maximum_1, second_1, fire_1, first_1, modelled_1, complete_1, due_1}
        = stage_1;
    wire [C+F+8:0] next_2 = {issue_1 && !second_1, vector_1, paired_1, padded_1, maximum_1, fire_1, first_1, modelled_1,
                            complete_1, due_1};

    wire first_2, modelled_2, complete_2;
    wire [C:0] due_2;
    assign {select_2, fire_2, first_2, modelled_2, complete_2, due_2} = stage_2;
    wire [C+F+4:0] next_3 = {fire_2, select_2[0], first_2, modelled_2, complete_2, due_2};

    wire modelled_3, complete_3;
    wire [C:0] due_3;
    assign {fire_3, maximum_3, first_3, modelled_3, complete_3, due_3} = stage_3;
    wire [C+F+4:0] next_4 = {fire_3, maximum_3, first_3 || maximum_3, modelled_3, complete_3, due_3};

    wire complete_4, pixel_end_4;
    assign {fire_4, maximum_4, replace_4, modelled_4, complete_4, pixel_end_4, channels_4} = stage_4;
    wire [C+1:0] next_5 = {complete_4, pixel_end_4, channels_4};

    assign {complete_5, pixel_end_5, channels_5} = stage_5;

    initial stages = {(5*C+4*F+31){1'b0}};

    wire [5*C+4*F+30:0] next_stages = {stage_0, next_2, next_3, next_4, next_5};
    // The bits that a reset clears: multiplications and ends of tiles.
    localparam [5*C+4*F+30:0] EFFECTS = {6'd0, EVERY_LANE, 4'b0010, NO_CHANNELS, 5'd0, EVERY_LANE, 4'b0010, NO_CHANNELS,
                                         EVERY_LANE, 5'b00010, NO_CHANNELS, EVERY_LANE, 5'b00010, NO_CHANNELS,
                                         2'b10, NO_CHANNELS};
    always @(posedge clock) stages <= reset ? next_stages & ~EFFECTS : next_stages;

    // For each word that a step reads: whether it is outside the image or after the last tap.
    generate
        if (GROUPED) begin : grouped
            wire [4:0] unused = run[`RUN_UNUSED +: 5];
            wire [5:0] used = (6'd1 << run[`RUN_GROUPS +: 3]) - {1'b0, unused};
            wire [WORDS-1:0] padding_0;
            genvar word;
            for (word = 0; word < WORDS; word = word + 1) begin : words
                localparam [12:0] PLACE = word;
                wire [12:0] column = tap_x + PLACE;
                assign padding_0[word] = spread && column >= run[`RUN_X_LIMIT +: 13]
                    || channel_end && unused != 5'd0 && PLACE[5:0] >= used;
            end
            reg [WORDS+3:0] read_1, read_2;
            reg [14:0] joins;
            always @(posedge clock) begin
                read_1 <= {padding_0, run[`RUN_GROUPS +: 3], run[`RUN_SKIP]};
                read_2 <= read_1;
                joins <= {joins[11:0], joined};
            end
            assign {padding_2, groups_2, skip_2} = read_2;
            assign join_5 = joins[14:12];
        end else begin : alike
            assign padding_2 = 1'b0;
            assign groups_2 = 3'd0;
            assign skip_2 = 1'b0;
            assign join_5 = 3'd0;
        end
    endgenerate

    // Rare cases in one signal: a step that loads anything but a broadcast operand and a weight for each lane, the
    // largest-of operation, the end of a tile.
    assign slow_path = select_2 != 5'b10000 || maximum_3 || complete_5;
endmodule
`default_nettype wire
