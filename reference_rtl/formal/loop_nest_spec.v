// SPDX-License-Identifier: MIT
// What `loop_nest` must do in every clock, written a second time and differently: six indices that count up, a distance
// walked for each of them, and the clocks since the last tile ended.
//
//   address        = activation base + sum(index_i * stride_i)
//   weight address = weight base + steps since the pixel (per_tile: the tile) began
//   tap            = origin + index_x * x_step + index_kx, and so for y; as integers, without a wrap
//
// The module is given jumps, this one strides; `walked_i` stands for stride_i * (count_i - 1). No proof has to
// multiply: `consistent` says that each distance has that value at its last index, which it has if the assembler
// multiplied correctly.
`include "fields.vh"
`default_nettype none
module loop_nest_spec #(
    // Channels of a tile.
    parameter LANES = 8,
    // Sums that leave a tile in one clock.
    parameter DRAIN = 1,
    // Lanes that share a multiplier.
    parameter PACK = 1,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16,
    // Clocks from a tile's last step until its first word can be read again.
    parameter LATENCY = 15,
    // Bits of a tile's channels minus one, which follow; not to be set.
    parameter CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                       clock,
    input  wire                       reset,
    input  wire                       offered,
    input  wire [`RUN_BITS-1:0]       description,
    input  wire [6*ADDRESS_WIDTH-1:0] strides,
    input  wire [5*ADDRESS_WIDTH-1:0] walked,

    output wire                       take,
    output wire                       idle,
    output wire                       issue,
    output wire [ADDRESS_WIDTH-1:0]   address,
    output wire [ADDRESS_WIDTH-1:0]   weight_address,
    output wire                       mac,
    // The lanes that multiply: the first ones of those that share a multiplier, and the second ones.
    output wire                       fire_first,
    output wire                       fire_second,
    output wire                       configure,
    output reg  [`RUN_BITS-1:0]       run,
    // Each distance that is at its last index is the one that was said to be walked.
    output wire                       consistent,
    // The step: it reads the activation; it is outside the image (if tap_fits); where it stands in its tile.
    output wire                       load,
    output wire                       padded,
    output wire                       tap_fits,
    output wire                       first,
    output wire                       tile_end,
    output wire                       pixel_end,
    output wire [CHANNEL_WIDTH-1:0]   channels
);
    localparam A = ADDRESS_WIDTH;
    localparam POSITION = 23;

    // The run: where its loops end, and where they are.
    wire [15:0] last_channel = run[`RUN_CHANNEL_COUNT +: 16];
    wire [7:0]  last_kx = run[`RUN_KX_COUNT +: 8];
    wire [7:0]  last_ky = run[`RUN_KY_COUNT +: 8];
    wire [15:0] last_tile = run[`RUN_TILE_COUNT +: 16];
    wire [11:0] last_x = run[`RUN_X_COUNT +: 12];
    wire [11:0] last_y = run[`RUN_Y_COUNT +: 12];
    wire paired = run[`RUN_PAIRED];
    reg  [15:0] channel, tile;
    reg  [7:0]  kx, ky;
    reg  [11:0] x, y;
    reg  [6*A-1:0] stride;
    reg  [5*A-1:0] walk;
    reg  [A-1:0] channel_way, kx_way, ky_way, tile_way, x_way, y_way;
    reg  [A-1:0] row;
    reg  signed [POSITION-1:0] pixel_x, pixel_y;
    reg  setting_up, running, started;

    wire channel_end = channel == last_channel;
    wire kx_end = channel_end && kx == last_kx;
    assign tile_end = kx_end && ky == last_ky;
    assign pixel_end = tile == last_tile;
    wire pixel_over = tile_end && pixel_end;
    wire row_over = pixel_over && x == last_x;
    wire run_over = row_over && y == last_y;

    assign consistent = !running ||
        (channel != last_channel || channel_way == walk[0*A +: A]) && (kx != last_kx || kx_way == walk[1*A +: A]) &&
        (ky != last_ky || ky_way == walk[2*A +: A]) && (tile != last_tile || tile_way == walk[3*A +: A]) &&
        (x != last_x || x_way == walk[4*A +: A]);

    // The waits, from the clocks since a tile's last step and those in which that tile is drained.
    reg [8:0] since, due;
    wire spaced = since >= due;
    wire settled = since >= due + LATENCY;
    wire waiting = run[`RUN_BARRIER] && !started;
    wire first_tile = tile == 16'd0 && x == 12'd0 && y == 12'd0;
    // Lanes that share a multiplier, and no operand, multiply in the clock before the step, and in it.
    wire ready = running && !(waiting && !settled) && !(tile_end && !(first_tile ? settled : spaced));
    wire multiplies = !paired || channel[0];
    wire one_by_one = PACK == 2 && (run[`RUN_VECTOR] || paired) && multiplies;
    reg  first_done;
    wire first_turn = ready && one_by_one && !first_done;
    assign issue = ready && !(one_by_one && !first_done);
    assign fire_first = one_by_one ? first_turn : mac;
    assign fire_second = mac;
    assign take = offered && (!setting_up && !running || issue && run_over);
    assign idle = !setting_up && !running && settled;
    assign configure = issue && tile_end && first_tile;
    assign channels = pixel_end ? run[`RUN_LAST_CHANNELS +: CHANNEL_WIDTH] : LANES - 1;

    // The step.
    assign mac = issue && multiplies;
    assign load = (issue || first_turn) && !(paired && channel[0]);
    assign first = channel == (paired ? 16'd1 : 16'd0) && kx == 8'd0 && ky == 8'd0;
    assign address = run[`RUN_ACTIVATION_BASE +: A] + y_way + x_way + tile_way + ky_way + kx_way + channel_way;
    assign weight_address = run[`RUN_WEIGHT_BASE +: A] + row;

    wire signed [POSITION-1:0] tap_x = pixel_x + $signed({1'b0, kx});
    wire signed [POSITION-1:0] tap_y = pixel_y + $signed({1'b0, ky});
    wire signed [POSITION-1:0] limit_x = $signed({1'b0, run[`RUN_X_LIMIT +: 13]});
    wire signed [POSITION-1:0] limit_y = $signed({1'b0, run[`RUN_Y_LIMIT +: 13]});
    wire inside = tap_x >= 0 && tap_x < limit_x && tap_y >= 0 && tap_y < limit_y;
    assign padded = run[`RUN_BOUNDED] && !inside;
    // A position has 13 bits: below 0 there must be room for what lies left of the image.
    assign tap_fits = tap_x < 8192 && tap_x >= limit_x - 8192 && tap_y < 8192 && tap_y >= limit_y - 8192;

    wire signed [12:0] x_origin = run[`RUN_X_ORIGIN +: 13];
    wire signed [12:0] y_origin = run[`RUN_Y_ORIGIN +: 13];

    always @(posedge clock) begin
        if (since != 9'd511) since <= since + 9'd1;
        setting_up <= 1'b0;
        first_done <= first_turn && !reset;
        if (setting_up) begin
            running <= 1'b1;
            started <= 1'b0;
            {channel, kx, ky, tile, x, y} <= 72'd0;
            {channel_way, kx_way, ky_way, tile_way, x_way, y_way} <= {6*A{1'b0}};
            row <= {A{1'b0}};
            pixel_x <= x_origin;
            pixel_y <= y_origin;
        end
        if (issue) begin
            started <= 1'b1;
            row <= pixel_over || tile_end && run[`RUN_PER_TILE] ? {A{1'b0}} : row + 1'b1;
            // Loop i steps when all inside it are over; those start again.
            if (!channel_end) begin
                channel <= channel + 16'd1;
                channel_way <= channel_way + stride[0*A +: A];
            end else begin
                channel <= 16'd0;
                channel_way <= {A{1'b0}};
                if (!kx_end) begin
                    kx <= kx + 8'd1;
                    kx_way <= kx_way + stride[1*A +: A];
                end else begin
                    kx <= 8'd0;
                    kx_way <= {A{1'b0}};
                    if (!tile_end) begin
                        ky <= ky + 8'd1;
                        ky_way <= ky_way + stride[2*A +: A];
                    end else begin
                        ky <= 8'd0;
                        ky_way <= {A{1'b0}};
                        if (!pixel_end) begin
                            tile <= tile + 16'd1;
                            tile_way <= tile_way + stride[3*A +: A];
                        end else begin
                            tile <= 16'd0;
                            tile_way <= {A{1'b0}};
                            if (!row_over) begin
                                x <= x + 12'd1;
                                x_way <= x_way + stride[4*A +: A];
                                pixel_x <= pixel_x + $signed({1'b0, run[`RUN_X_STEP +: 8]});
                            end else begin
                                x <= 12'd0;
                                x_way <= {A{1'b0}};
                                pixel_x <= x_origin;
                                y <= y + 12'd1;
                                y_way <= y_way + stride[5*A +: A];
                                pixel_y <= pixel_y + $signed({1'b0, run[`RUN_Y_STEP +: 8]});
                            end
                        end
                    end
                end
            end
            if (run_over) running <= 1'b0;
            if (tile_end) begin
                since <= 9'd1;
                due <= ({1'b0, channels} + DRAIN) / DRAIN;
            end
        end
        if (take) begin
            run <= description;
            stride <= strides;
            walk <= walked;
            setting_up <= 1'b1;
        end
        if (reset) begin
            {setting_up, running} <= 2'b0;
            since <= 9'd511;
            due <= 9'd0;
        end
    end
endmodule
`default_nettype wire
