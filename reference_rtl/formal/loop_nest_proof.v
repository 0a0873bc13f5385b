// SPDX-License-Identifier: MIT
// `loop_nest` and its specification side by side, with any runs offered at any time, and any resets.
//
//   violated_now     an output of stage 0, or one of the relations that make the proof inductive, is wrong
//   violated_later   an output of the stages 2 to 5 is wrong
//
// With FROM_RESET the first six clocks are a reset, and both are watched from then on. Without, all registers begin
// in any state: if stage 0 was right in every clock so far, it must be so in this one, and after five clocks the later
// stages too. Both questions answered for two, and for six clocks, are a proof for all time (tests/proof/formal.py).
`include "fields.vh"
`default_nettype none
module loop_nest_proof #(
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
    // Begin with a reset (1), or in any state (0).
    parameter FROM_RESET = 1
) (
    input  wire                       clock,
    input  wire                       reset,
    input  wire                       offered,
    input  wire [`RUN_BITS-1:0]       fields,
    input  wire [6*ADDRESS_WIDTH-1:0] strides,
    input  wire [5*ADDRESS_WIDTH-1:0] walks,
    output wire                       violated_now,
    output wire                       violated_later
);
    localparam A = ADDRESS_WIDTH;
    localparam C = LANES > 1 ? $clog2(LANES) : 1;
    localparam S = LANES / DRAIN > 1 ? $clog2(LANES / DRAIN) : 1;

    reg [5:0] age;
    initial age = 6'd0;
    always @(posedge clock) age <= {age[4:0], 1'b1};
    wire reset_now = reset || FROM_RESET && !age[5];

    // What the assembler computes from strides and counts: a loop of one step has no distance; the number of paired
    // steps is even.
    wire paired_run = fields[`RUN_PAIRED];
    wire [A-1:0] walk_0 = fields[`RUN_CHANNEL_COUNT +: 16] == 0 && !paired_run ? {A{1'b0}} : walks[0*A +: A];
    wire [A-1:0] walk_1 = fields[`RUN_KX_COUNT +: 8] == 0 ? {A{1'b0}} : walks[1*A +: A];
    wire [A-1:0] walk_2 = fields[`RUN_KY_COUNT +: 8] == 0 ? {A{1'b0}} : walks[2*A +: A];
    wire [A-1:0] walk_3 = fields[`RUN_TILE_COUNT +: 16] == 0 ? {A{1'b0}} : walks[3*A +: A];
    wire [A-1:0] walk_4 = fields[`RUN_X_COUNT +: 12] == 0 ? {A{1'b0}} : walks[4*A +: A];
    wire [5*A-1:0] walked = {walk_4, walk_3, walk_2, walk_1, walk_0};
    wire [A-1:0] behind_1 = walk_0, behind_2 = behind_1 + walk_1, behind_3 = behind_2 + walk_2,
                 behind_4 = behind_3 + walk_3, behind_5 = behind_4 + walk_4;
    reg [`RUN_BITS-1:0] description;
    always @* begin
        description = fields;
        if (paired_run) description[`RUN_CHANNEL_COUNT] = 1'b1;
        description[`RUN_CHANNEL_JUMP +: A] = strides[0*A +: A];
        description[`RUN_KX_JUMP +: A] = strides[1*A +: A] - behind_1;
        description[`RUN_KY_JUMP +: A] = strides[2*A +: A] - behind_2;
        description[`RUN_TILE_JUMP +: A] = strides[3*A +: A] - behind_3;
        description[`RUN_X_JUMP +: A] = strides[4*A +: A] - behind_4;
        description[`RUN_Y_JUMP +: A] = strides[5*A +: A] - behind_5;
    end

    wire take, idle, mac, configure, first_3, maximum_3, maximum_4, replace_4, modelled_4;
    wire [PACK-1:0] fire_2, fire_3, fire_4;
    wire complete_5, pixel_end_5;
    wire [A-1:0] address, weight_address;
    wire [`RUN_BITS-1:0] run;
    wire slow_path;
    wire [4:0] select_2;
    wire [C-1:0] channels_4, channels_5;
    loop_nest #(
        .LANES(LANES), .DRAIN(DRAIN), .PACK(PACK), .ADDRESS_WIDTH(A), .LATENCY(LATENCY)
    ) u_loop_nest (
        .clock(clock), .reset(reset_now), .offered(offered), .description(description), .take(take), .idle(idle),
        .row_missing(1'b0),
        .address(address), .weight_address(weight_address), .mac(mac), .configure(configure), .run(run),
        .select_2(select_2), .slow_path(slow_path), .fire_2(fire_2), .fire_3(fire_3), .first_3(first_3),
        .maximum_3(maximum_3),
        .fire_4(fire_4), .maximum_4(maximum_4), .replace_4(replace_4), .modelled_4(modelled_4), .channels_4(channels_4),
        .complete_5(complete_5), .channels_5(channels_5), .pixel_end_5(pixel_end_5)
    );

    wire spec_take, spec_idle, issue, spec_mac, fire_first, fire_second, spec_configure, consistent;
    wire load, padded, tap_fits, first, tile_end, pixel_end;
    wire [A-1:0] spec_address, spec_weight_address;
    wire [`RUN_BITS-1:0] spec_run;
    wire [C-1:0] channels;
    loop_nest_spec #(
        .LANES(LANES), .DRAIN(DRAIN), .PACK(PACK), .ADDRESS_WIDTH(A), .LATENCY(LATENCY)
    ) u_spec (
        .clock(clock), .reset(reset_now), .offered(offered), .description(description), .strides(strides),
        .walked(walked),
        .take(spec_take), .idle(spec_idle), .issue(issue), .address(spec_address), .weight_address(spec_weight_address),
        .mac(spec_mac), .fire_first(fire_first), .fire_second(fire_second), .configure(spec_configure),
        .run(spec_run), .consistent(consistent), .load(load), .padded(padded),
        .tap_fits(tap_fits), .first(first), .tile_end(tile_end), .pixel_end(pixel_end), .channels(channels)
    );

    // No address is claimed of a run whose distances are not those of its strides and counts.
    reg inconsistent_before;
    always @(posedge clock) inconsistent_before <= !reset_now && !spec_take && (inconsistent_before || !consistent);
    wire inconsistent = inconsistent_before || !consistent;

    // Relations between the registers of the two; yosys merges these names when it flattens.
    (* hierconn *) wire [1:0]     \u_loop_nest.state ;
    (* hierconn *) wire           \u_loop_nest.channel_end , \u_loop_nest.kx_last , \u_loop_nest.ky_last ,
        \u_loop_nest.pixel_end , \u_loop_nest.x_last , \u_loop_nest.y_last ;
    (* hierconn *) wire [15:0]    \u_loop_nest.channel , \u_loop_nest.tile , \u_spec.channel , \u_spec.tile ;
    (* hierconn *) wire [8:0]     \u_loop_nest.kx , \u_loop_nest.ky ;
    (* hierconn *) wire [7:0]     \u_spec.kx , \u_spec.ky ;
    (* hierconn *) wire [11:0]    \u_loop_nest.x , \u_loop_nest.y , \u_spec.x , \u_spec.y ;
    (* hierconn *) wire [12:0]    \u_loop_nest.pixel_x , \u_loop_nest.pixel_y ;
    (* hierconn *) wire [S-1:0]   \u_loop_nest.spacing ;
    (* hierconn *) wire [4:0]     \u_loop_nest.settle ;
    (* hierconn *) wire           \u_loop_nest.barrier , \u_loop_nest.first_tile , \u_loop_nest.first_tap ,
        \u_loop_nest.second_operand ;
    (* hierconn *) wire           \u_spec.first_done ;
    (* hierconn *) wire           \u_spec.setting_up , \u_spec.running , \u_spec.waiting , \u_spec.first_tile ;
    (* hierconn *) wire [22:0]    \u_spec.pixel_x , \u_spec.pixel_y ;
    (* hierconn *) wire [8:0]     \u_spec.since , \u_spec.due ;
    (* hierconn *) wire [6*A-1:0] \u_spec.stride ;
    (* hierconn *) wire [5*A-1:0] \u_spec.walk ;

    wire busy = \u_spec.running ;
    wire held = \u_spec.running || \u_spec.setting_up ;
    wire paired = spec_run[`RUN_PAIRED];
    wire counters_differ =
        \u_loop_nest.channel != \u_spec.channel + 16'd1 || \u_spec.channel > spec_run[`RUN_CHANNEL_COUNT +: 16] ||
        \u_loop_nest.kx != {1'b0, \u_spec.kx } + 9'd1 || \u_spec.kx > spec_run[`RUN_KX_COUNT +: 8] ||
        \u_loop_nest.ky != {1'b0, \u_spec.ky } + 9'd1 || \u_spec.ky > spec_run[`RUN_KY_COUNT +: 8] ||
        \u_loop_nest.tile != \u_spec.tile + 16'd1 || \u_spec.tile > spec_run[`RUN_TILE_COUNT +: 16] ||
        \u_loop_nest.x != \u_spec.x + 12'd1 || \u_spec.x > spec_run[`RUN_X_COUNT +: 12] ||
        \u_loop_nest.y != \u_spec.y + 12'd1 || \u_spec.y > spec_run[`RUN_Y_COUNT +: 12];
    wire ends_differ =
        \u_loop_nest.channel_end != (\u_spec.channel == spec_run[`RUN_CHANNEL_COUNT +: 16]) ||
        \u_loop_nest.kx_last != (\u_spec.kx == spec_run[`RUN_KX_COUNT +: 8]) ||
        \u_loop_nest.ky_last != (\u_spec.ky == spec_run[`RUN_KY_COUNT +: 8]) ||
        \u_loop_nest.pixel_end != (\u_spec.tile == spec_run[`RUN_TILE_COUNT +: 16]) ||
        \u_loop_nest.x_last != (\u_spec.x == spec_run[`RUN_X_COUNT +: 12]) ||
        \u_loop_nest.y_last != (\u_spec.y == spec_run[`RUN_Y_COUNT +: 12]);
    wire places_differ = \u_loop_nest.pixel_x != \u_spec.pixel_x [12:0] - 13'd1 ||
        \u_loop_nest.pixel_y != \u_spec.pixel_y [12:0] - 13'd1;
    wire flags_differ =
        \u_loop_nest.barrier != \u_spec.waiting || \u_loop_nest.first_tile != \u_spec.first_tile ||
        \u_loop_nest.second_operand != (paired && \u_spec.channel [0]) ||
        \u_loop_nest.first_tap != (\u_spec.channel <= (paired ? 16'd1 : 16'd0) && \u_spec.kx == 0 && \u_spec.ky == 0);
    wire [8:0] clear = \u_spec.due + LATENCY;
    wire waits_differ =
        \u_loop_nest.spacing != (\u_spec.since < \u_spec.due ? \u_spec.due - \u_spec.since : 9'd0) ||
        \u_loop_nest.settle != (\u_spec.since < \u_spec.due ? LATENCY
                                : \u_spec.since < clear ? clear - \u_spec.since : 9'd0) ||
        \u_spec.due > LANES / DRAIN || \u_spec.since == 0;
    wire [A-1:0] after_0 = \u_spec.walk [0*A +: A], after_1 = after_0 + \u_spec.walk [1*A +: A],
                 after_2 = after_1 + \u_spec.walk [2*A +: A],
                 after_3 = after_2 + \u_spec.walk [3*A +: A], after_4 = after_3 + \u_spec.walk [4*A +: A];
    wire runs_differ =
        run != spec_run || paired && !spec_run[`RUN_CHANNEL_COUNT] ||
        run[`RUN_CHANNEL_JUMP +: A] != \u_spec.stride [0*A +: A] ||
        run[`RUN_KX_JUMP +: A] != \u_spec.stride [1*A +: A] - after_0 ||
        run[`RUN_KY_JUMP +: A] != \u_spec.stride [2*A +: A] - after_1 ||
        run[`RUN_TILE_JUMP +: A] != \u_spec.stride [3*A +: A] - after_2 ||
        run[`RUN_X_JUMP +: A] != \u_spec.stride [4*A +: A] - after_3 ||
        run[`RUN_Y_JUMP +: A] != \u_spec.stride [5*A +: A] - after_4;
    // After the first lanes have multiplied, the second ones do.
    (* hierconn *) wire \u_loop_nest.in_turns.first_done ;
    wire turns_differ = PACK > 1 &&
        ( \u_loop_nest.in_turns.first_done != \u_spec.first_done || \u_spec.first_done && !spec_mac );
    wire related = \u_loop_nest.state == {\u_spec.running , \u_spec.setting_up }
        && !(\u_spec.running && \u_spec.setting_up )
        && !waits_differ && !(held && runs_differ)
        && !(busy && (counters_differ || ends_differ || places_differ || flags_differ))
        && !turns_differ && !(\u_spec.setting_up && address != {A{1'b0}})
        && !(busy && weight_address != spec_weight_address) && !(busy && !inconsistent && address != spec_address);

    wire wrong_0 = take != spec_take || idle != spec_idle || mac != spec_mac || configure != spec_configure
                || issue && (!inconsistent && address != spec_address || weight_address != spec_weight_address
                             || run != spec_run);
    wire broken = !related || wrong_0;
    reg trusted;
    initial trusted = 1'b1;
    always @(posedge clock) trusted <= trusted && (!broken || FROM_RESET);
    assign violated_now = broken && (FROM_RESET ? age[5] : trusted && age[0]);

    // Stages 1 to 5 of the step, by what it is.
    // A step's lanes may fire a clock before it, with the same words.
    wire shown = issue || fire_first;
    wire [C+11:0] step = {shown, load, fire_second, padded, tap_fits, first, issue && tile_end, pixel_end, channels,
                        spec_run[`RUN_VECTOR], paired, spec_run[`RUN_MAXIMUM], spec_run[`RUN_MODELLED]};
    reg [C+11:0] step_1, step_2, step_3, step_4, step_5;
    // A reset discards multiplications and ends of tiles in the pipeline.
    wire [C+11:0] effects = reset_now ? {12'b001000100000, {C{1'b0}}} : {(C+12){1'b0}};
    always @(posedge clock)
        {step_1, step_2, step_3, step_4, step_5} <= {step, step_1, step_2, step_3, step_4} & ~{5{effects}};
    wire issue_2, load_2, mac_2, padded_2, fits_2, vector_2, paired_2, maximum_2;
    assign {issue_2, load_2, mac_2, padded_2, fits_2} = step_2[C+11:C+7];
    assign {vector_2, paired_2, maximum_2} = step_2[3:1];
    reg first_1, first_lanes_2, first_lanes_3, first_lanes_4;
    always @(posedge clock)
        {first_1, first_lanes_2, first_lanes_3, first_lanes_4} <=
            {fire_first, first_1, first_lanes_2, first_lanes_3} & ~{4{reset_now}};
    wire [1:0] fires_2 = {mac_2, first_lanes_2}, fires_3 = {step_3[C+9], first_lanes_3},
               fires_4 = {step_4[C+9], first_lanes_4};
    wire wrong_2 = fire_2 != fires_2[1 -: PACK] || select_2[4] != load_2
                || issue_2 && (select_2[3:2] != {vector_2, paired_2} || fits_2 && select_2[1] != padded_2
                               || select_2[0] != maximum_2);
    // What the lanes do only on the slow path: a step that loads anything but a broadcast operand, a tile's end, the
    // largest-of operation.
    wire usual = issue_2 && load_2 && !(padded_2 && fits_2) && !vector_2 && !paired_2 && !maximum_2;
    wire wrong_slow_path = !slow_path && (!usual && (load_2 || |fires_2) || |fire_3 && step_3[1] || step_5[C+5]);
    wire wrong_3 = fire_3 != fires_3[1 -: PACK] || |fire_3 && (first_3 != step_3[C+6] || maximum_3 != step_3[1]);
    wire wrong_4 = fire_4 != fires_4[1 -: PACK] || |fire_4 && ({maximum_4, modelled_4} != step_4[1:0]
                || replace_4 != (step_4[C+6] || maximum_4) || channels_4 != step_4[C+3:4]);
    wire wrong_5 = complete_5 != step_5[C+5] || complete_5 && {pixel_end_5, channels_5} != step_5[C+4:4];
    assign violated_later = (wrong_2 || wrong_slow_path || wrong_3 || wrong_4 || wrong_5) &&
        (FROM_RESET ? age[5] : trusted && !broken && age[4]);
endmodule
`default_nettype wire
