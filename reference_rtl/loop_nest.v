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
    output reg                      load_operand_2,
    output reg                      vector_2,
    output reg                      paired_2,
    output reg                      padded_2,
    output reg                      lowest_2,
    output reg                      blank_2,

    // Stages 3 and 4: what the lanes do with it.
    output reg                      fire_3,
    output reg                      first_3,
    output reg                      maximum_3,
    output reg                      fire_4,
    output reg                      replace_4,
    output reg                      modelled_4,

    // Stage 5: a tile is complete; its channels minus one, and whether it is its pixel's last.
    output reg                      complete_5,
    output reg  [5:0]               channels_5,
    output reg                      pixel_end_5
);
    localparam [5:0] FULL_TILE = LANES - 1;
    localparam [4:0] SETTLE = LATENCY;
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

    always @(posedge clock) begin
        if (spacing != 6'd0) spacing <= spacing - 6'd1;
        else if (settle != 5'd0) settle <= settle - 5'd1;

        if (take) run <= description;
        if (reset) state <= IDLE;
        else if (take) state <= SET_UP;
        else if (set_up) state <= STEP;
        else if (issue && run_end) state <= IDLE;
        if (reset) begin
            spacing <= 6'd0;
            settle <= 5'd0;
        end

        if (take) address <= {ADDRESS_WIDTH{1'b0}};
        else if (set_up || issue) address <= address + jump;

        // Loops count down.
        if (set_up || issue) begin
            weight_address <= weights_again ? run[`RUN_WEIGHT_BASE +: ADDRESS_WIDTH] : weight_address + 1'b1;
            channel <= channel_again ? channel_count : channel - 16'd1;
        end
        if (set_up || issue && channel_end) kx <= kx_again ? kx_count : kx - 8'd1;
        if (set_up || issue && kx_end) ky <= ky_again ? ky_count : ky - 8'd1;
        if (set_up || issue && tile_end) tile <= tile_again ? tile_count : tile - 16'd1;
        if (set_up || issue && tile_end && pixel_end) begin
            x <= x_again ? x_count : x - 12'd1;
            pixel_x <= next_x;
        end
        if (set_up || issue && tile_end && row_end) begin
            y <= set_up ? y_count : y - 12'd1;
            pixel_y <= next_y;
        end
        if (set_up || issue && channel_end)
            tap_x <= tile_end && pixel_end || set_up ? next_x : kx_end ? pixel_x : tap_x + 13'd1;
        if (set_up || issue && kx_end)
            tap_y <= tile_end && row_end || set_up ? next_y : tile_end ? pixel_y : tap_y + 13'd1;

        if (set_up) begin
            barrier <= run[`RUN_BARRIER];
            fresh <= 1'b1;
            first_tile <= 1'b1;
            second <= 1'b0;
        end else if (issue) begin
            barrier <= 1'b0;
            second <= paired && !second;
            if (mac) fresh <= tile_end;
            if (tile_end) begin
                first_tile <= 1'b0;
                spacing <= channels;
                settle <= SETTLE;
            end
        end
    end

    // The step on its way: what stage n needs, n clocks after issue.
    reg issue_1, mac_1, mac_2, first_1, first_2, second_1, padded_1;
    reg vector_1, paired_1, maximum_1, modelled_1, modelled_2, modelled_3;
    reg complete_1, complete_2, complete_3, complete_4;
    reg [6:0] due_1, due_2, due_3, due_4;
    initial {mac_1, mac_2, fire_3, fire_4, complete_1, complete_2, complete_3, complete_4, complete_5} = 9'd0;

    always @(posedge clock) begin
        issue_1 <= issue;
        mac_1 <= mac;
        complete_1 <= issue && tile_end;
        if (issue) begin
            first_1 <= fresh;
            second_1 <= second;
            padded_1 <= padded;
            vector_1 <= run[`RUN_VECTOR];
            paired_1 <= paired;
            maximum_1 <= run[`RUN_MAXIMUM];
            modelled_1 <= run[`RUN_MODELLED];
            due_1 <= {pixel_end, channels};
        end

        load_operand_2 <= issue_1 && !second_1;
        mac_2 <= mac_1;
        first_2 <= first_1;
        padded_2 <= padded_1;
        vector_2 <= vector_1;
        paired_2 <= paired_1;
        lowest_2 <= maximum_1;
        blank_2 <= padded_1 && !maximum_1;
        modelled_2 <= modelled_1;

        fire_3 <= mac_2;
        first_3 <= first_2;
        maximum_3 <= lowest_2;
        modelled_3 <= modelled_2;

        fire_4 <= fire_3;
        replace_4 <= first_3 || maximum_3;
        modelled_4 <= modelled_3;

        {complete_2, complete_3, complete_4, complete_5} <= {complete_1, complete_2, complete_3, complete_4};
        due_2 <= due_1;
        due_3 <= due_2;
        due_4 <= due_3;
        {pixel_end_5, channels_5} <= due_4;
    end
endmodule
`default_nettype wire
