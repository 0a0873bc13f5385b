// SPDX-License-Identifier: MIT
// loop_nest.v against six nested loops: addresses, first and last steps, padding and spacing of random runs. Then runs
// that a reset of one clock ends in any state; no signal of them may follow.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "fields.vh"
`default_nettype none
module loop_nest_tb;
    parameter LANES = 4;
    parameter DRAIN = 1;
    parameter WORDS = 1;
    parameter PACK = 1;
    localparam CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1;
    localparam ADDRESS = 12, LATENCY = 15, RUNS = 120, RESETS = 60;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg reset = 1'b1;
    reg offered = 1'b0;
    reg [`RUN_BITS-1:0] description;
    wire take, idle, mac, configure, first_3, maximum_3, maximum_4, replace_4, modelled_4;
    wire [PACK-1:0] fire_2, fire_3, fire_4;
    wire complete_5, pixel_end_5;
    wire [ADDRESS-1:0] address, weight_address;
    wire [`RUN_BITS-1:0] run;
    wire [4:0] select_2;
    wire [WORDS-1:0] padding_2;
    wire [2:0] groups_2, join_5;
    wire skip_2;
    wire [CHANNEL_WIDTH-1:0] channels_4, channels_5;

    loop_nest #(
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK), .ADDRESS_WIDTH(ADDRESS), .LATENCY(LATENCY)
    ) u_loop_nest (
        .clock(clock), .reset(reset), .offered(offered), .description(description), .take(take), .idle(idle),
        .row_missing(1'b0), .set_up(), .weights_restart(), .last_pass(), .row_awaited(),
        .address(address), .weight_address(weight_address), .mac(mac), .configure(configure), .run(run),
        .select_2(select_2), .padding_2(padding_2), .groups_2(groups_2), .skip_2(skip_2), .join_5(join_5),
        .slow_path(), .fire_2(fire_2), .fire_3(fire_3), .first_3(first_3), .maximum_3(maximum_3),
        .fire_4(fire_4), .maximum_4(maximum_4), .replace_4(replace_4), .modelled_4(modelled_4), .channels_4(channels_4),
        .complete_5(complete_5), .channels_5(channels_5), .pixel_end_5(pixel_end_5)
    );

    // The outputs of a step: {barrier's first step, address, weight address, padded, first tap, end of tile, its
    // channels, pixel ends}.
    localparam STEP = ADDRESS + ADDRESS + 6 + CHANNEL_WIDTH;
    reg [STEP-1:0] due [0:262143];
    reg [STEP-1:0] now;
    // Those for the words of the memory: {padding, groups, every second}; and to the sums: groups that are added.
    localparam PAIR = WORDS + 4;
    reg [PAIR-1:0] words_due [0:262143];
    reg [PAIR-1:0] words_0, words_1, words_2;
    reg [2:0] joins_due [0:262143];
    reg [17:0] joins;
    reg [2:0] groups, joined;
    reg [4:0] unused;
    reg [5:0] early;
    reg spread, skip;
    reg reads_0 = 1'b0, reads_1 = 1'b0, reads_2 = 1'b0;
    reg [WORDS-1:0] padding;
    integer word, due_early [0:262143];
    integer wanted, checked, number, clocks, last_step, last_drain;
    integer n [0:5];
    integer jump [0:5];
    integer i [0:5];
    integer at_0, at_1, at_2, at_3, at_4, at_5;  // Icarus cannot increment an element of an array
    integer at, weight, base, weight_base, x0, y0, sx, sy, wx, wy, level, px, py;
    reg per_tile, bounded, barrier, tile_ends, pixel_ends, new_run, padded;
    reg [CHANNEL_WIDTH-1:0] last, channels;

    task describe;
        begin
            for (level = 0; level < 6; level = level + 1) begin
                n[level] = 1 + ($unsigned($random) % 3);
                jump[level] = ($unsigned($random) % 400) - 200;
            end
            if (($random & 3) == 0) n[0] = 1 + ($unsigned($random) % 40);
            {per_tile, bounded, barrier} = $random;
            base = $unsigned($random) % 4096;
            weight_base = $unsigned($random) % 4096;
            x0 = ($unsigned($random) % 5) - 2;
            y0 = ($unsigned($random) % 5) - 2;
            sx = 1 + ($unsigned($random) % 3);
            sy = 1 + ($unsigned($random) % 3);
            wx = $unsigned($random) % 6;
            wy = $unsigned($random) % 6;
            groups = WORDS > 1 ? $unsigned($random) % ($clog2(WORDS) + 1) : 0;
            joined = $random & 1 ? groups : 3'd0;
            unused = joined != 0 ? $unsigned($random) % (1 << groups) : 0;
            spread = WORDS > 1 && bounded && ($random & 1);
            skip = $random;
            early = WORDS > 1 ? $unsigned($random) % 40 : 0;
            last = $unsigned($random) % (LANES >> joined);
            description = {20{$random}};  // unused bits are random
            if (WORDS > 1) begin
                description[`RUN_GROUPS +: 3] = groups;
                description[`RUN_JOINED] = joined != 0;
                description[`RUN_UNUSED +: 5] = unused;
                description[`RUN_SPREAD] = spread;
                description[`RUN_SKIP] = skip;
                description[`RUN_EARLY +: 6] = early;
            end
            description[`RUN_PAIRED] = 1'b0;
            description[`RUN_PER_TILE] = per_tile;
            description[`RUN_BOUNDED] = bounded;
            description[`RUN_BARRIER] = barrier;
            description[`RUN_ACTIVATION_BASE +: 24] = base;
            description[`RUN_WEIGHT_BASE +: 24] = weight_base;
            description[`RUN_CHANNEL_COUNT +: 16] = n[0] - 1;
            description[`RUN_KX_COUNT +: 8] = n[1] - 1;
            description[`RUN_KY_COUNT +: 8] = n[2] - 1;
            description[`RUN_TILE_COUNT +: 16] = n[3] - 1;
            description[`RUN_X_COUNT +: 12] = n[4] - 1;
            description[`RUN_Y_COUNT +: 12] = n[5] - 1;
            description[`RUN_LAST_CHANNELS +: CHANNEL_WIDTH] = last;
            description[`RUN_CHANNEL_JUMP +: 24] = jump[0];
            description[`RUN_KX_JUMP +: 24] = jump[1];
            description[`RUN_KY_JUMP +: 24] = jump[2];
            description[`RUN_TILE_JUMP +: 24] = jump[3];
            description[`RUN_X_JUMP +: 24] = jump[4];
            description[`RUN_Y_JUMP +: 24] = jump[5];
            description[`RUN_X_ORIGIN +: 13] = x0;
            description[`RUN_Y_ORIGIN +: 13] = y0;
            description[`RUN_X_STEP +: 8] = sx;
            description[`RUN_Y_STEP +: 8] = sy;
            description[`RUN_X_LIMIT +: 13] = wx;
            description[`RUN_Y_LIMIT +: 13] = wy;

            at = base;
            weight = weight_base;
            new_run = 1'b1;
            for (at_5 = 0; at_5 < n[5]; at_5 = at_5 + 1)
            for (at_4 = 0; at_4 < n[4]; at_4 = at_4 + 1)
            for (at_3 = 0; at_3 < n[3]; at_3 = at_3 + 1)
            for (at_2 = 0; at_2 < n[2]; at_2 = at_2 + 1)
            for (at_1 = 0; at_1 < n[1]; at_1 = at_1 + 1)
            for (at_0 = 0; at_0 < n[0]; at_0 = at_0 + 1) begin
                i[0] = at_0;
                i[1] = at_1;
                i[2] = at_2;
                i[3] = at_3;
                i[4] = at_4;
                i[5] = at_5;
                px = x0 + i[spread ? 3 : 4] * sx + i[1];
                py = y0 + i[5] * sy + i[2];
                padded = bounded && (!spread && (px < 0 || px >= wx) || py < 0 || py >= wy);
                for (word = 0; word < WORDS; word = word + 1)
                    padding[word] = spread && (px + word < 0 || px + word >= wx)
                        || i[0] == n[0] - 1 && unused != 0 && word >= (1 << groups) - unused;
                words_due[wanted] = {padding, groups, skip};
                joins_due[wanted] = joined;
                due_early[wanted] = early;
                tile_ends = i[0] == n[0] - 1 && i[1] == n[1] - 1 && i[2] == n[2] - 1;
                pixel_ends = i[3] == n[3] - 1;
                channels = pixel_ends ? last : (LANES >> joined) - 1;
                due[wanted] = {new_run && barrier, at[ADDRESS-1:0], weight[ADDRESS-1:0], padded,
                               i[0] == 0 && i[1] == 0 && i[2] == 0, tile_ends, channels, pixel_ends, new_run};
                wanted = wanted + 1;
                new_run = 1'b0;
                // The jump of the outermost loop that steps.
                level = 0;
                while (level < 5 && i[level] == n[level] - 1) level = level + 1;
                at = at + jump[level];
                weight = tile_ends && (pixel_ends || per_tile) ? weight_base : weight + 1;
            end
        end
    endtask

    // Which lanes multiply: all in the clock of a step; with `vector` those that share a multiplier in two, of which
    // that clock is the second one, with the same addresses.
    reg [2:0] macs, vectors;
    reg [ADDRESS-1:0] address_before;
    reg [PACK-1:0] fires;
    always @(negedge clock) begin
        macs = {macs[1:0], mac === 1'b1};
        vectors = {vectors[1:0], PACK > 1 && run[`RUN_VECTOR] === 1'b1};
        fires = {PACK{macs[2]}};
        if (PACK > 1) fires[0] = macs[2] && !vectors[2] || macs[1] && vectors[1];
        if (!reset && fire_2 !== fires && clocks > 5)
            $fatal(1, "FAIL: before step %0d lanes %b multiply, expected %b", checked, fire_2, fires);
        if (macs[0] && vectors[0] && address !== address_before)
            $fatal(1, "FAIL: step %0d has address %0d, and a clock before %0d", checked, address, address_before);
        address_before = address;
    end

    // Stage 0 is observed through `mac`; the expected outputs of a step are known one stage later.
    reg mac_1, first_of_run, tile_first;
    reg [STEP-1:0] step_1;
    always @(negedge clock) begin
        clocks = clocks + 1;
        {words_2, words_1, words_0} = {words_1, words_0, words_due[checked]};
        {reads_2, reads_1, reads_0} = {reads_1, reads_0, mac === 1'b1};
        joins = {joins[14:0], joins_due[checked]};
        if (WORDS > 1 && reads_2 && {padding_2, groups_2, skip_2} !== words_2)
            $fatal(1, "FAIL: before step %0d words are %b of %0d groups, expected %b", checked, padding_2, groups_2,
                   words_2);
        if (WORDS > 1 && complete_5 === 1'b1 && join_5 !== joins[17:15])
            $fatal(1, "FAIL: before step %0d 2**%0d groups are joined, expected 2**%0d", checked, join_5, joins[17:15]);
        if (mac === 1'b1) begin
            now = due[checked];
            if (now[0]) tile_first = 1'b1;
            if ({address, weight_address, u_loop_nest.padded, u_loop_nest.first_tap, u_loop_nest.tile_end,
                 u_loop_nest.channels, u_loop_nest.pixel_end} !== now[STEP-2:1])
                $fatal(1, "FAIL: step %0d: address %0d weights %0d padded %b first %b end %b %0d %b, expected %b",
                       checked, address, weight_address, u_loop_nest.padded, u_loop_nest.first_tap,
                       u_loop_nest.tile_end, u_loop_nest.channels, u_loop_nest.pixel_end, now);
            if (now[STEP-1] && clocks < last_step + last_drain + LATENCY - due_early[checked])
                $fatal(1, "FAIL: step %0d does not wait at its barrier", checked);
            if (now[CHANNEL_WIDTH+2]) begin
                if (clocks < last_step + last_drain + (tile_first ? LATENCY : 0))
                    $fatal(1, "FAIL: step %0d ends its tile %0d clocks after the last, which is drained %0d", checked,
                           clocks - last_step, last_drain);
                if (configure !== tile_first) $fatal(1, "FAIL: step %0d has configure = %b", checked, configure);
                last_step = clocks;
                last_drain = now[CHANNEL_WIDTH+1:2] / DRAIN + 1;
                tile_first = 1'b0;
            end
            checked = checked + 1;
        end
    end

    initial begin
        {wanted, checked, clocks} = 0;
        last_step = -100;
        last_drain = 0;
        tile_first = 1'b0;
        repeat (3) @(negedge clock);
        reset = 1'b0;
        for (number = 0; number < RUNS; number = number + 1) begin
            describe;
            offered = 1'b1;
            #1;
            while (!take) begin
                @(negedge clock);
                #1;
            end
            @(posedge clock);
            #1 offered = 1'b0;
            repeat ($random & 31) @(negedge clock);
        end
        while (!idle) @(negedge clock);
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d steps", checked, wanted);
        for (number = 0; number < RESETS; number = number + 1) begin
            // A run that a reset ends, and one that follows immediately.
            describe;
            offered = 1'b1;
            @(posedge clock);
            #1 offered = 1'b0;
            repeat (2 + ($unsigned($random) % 60)) @(negedge clock);
            #1 reset = 1'b1;
            @(posedge clock);
            #1 reset = 1'b0;
            macs = 3'd0;
            checked = wanted;
            last_step = -100;
            last_drain = 0;
            tile_first = 1'b0;
            if (!idle) $fatal(1, "FAIL: reset %0d leaves a wait", number);
            describe;
            offered = 1'b1;
            @(posedge clock);
            #1 offered = 1'b0;
            @(negedge clock);
            while (!idle) @(negedge clock);
            if (checked != wanted) $fatal(1, "FAIL: %0d of %0d steps after reset %0d", checked, wanted, number);
        end
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d steps", checked, wanted);
        $display("PASS: %0d vectors", checked);
        $finish;
    end

    initial begin
        repeat (400000) @(posedge clock);
        $fatal(1, "FAIL: not done");
    end
endmodule
`default_nettype wire
