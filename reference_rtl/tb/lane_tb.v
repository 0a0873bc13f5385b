// SPDX-License-Identifier: MIT
// lane.v against a reference sum: random tiles of all kinds, back to back and with gaps, and every overflow but WRAP.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module lane_tb #(
    // The accumulator's overflow: 1 saturates, 2 saturates symmetrically, 3 becomes 0.
    parameter MODE = 1
);
    localparam WIDTH = 8, ACCUMULATOR = 24, SATURATE = 15, TILES = 2000;
    reg clock = 1'b0;
    always #5 clock = ~clock;

    // The step of stage 2, and its signals in the later stages.
    reg load, vector, paired, padded, maximum, fire, first, modelled, complete;
    reg fire_3, first_3, maximum_3, modelled_3, complete_3;
    reg fire_4, maximum_4, replace_4, modelled_4, complete_4, complete_5;
    reg signed [WIDTH-1:0] broadcast, own, weight;
    wire signed [ACCUMULATOR-1:0] total;
    wire clipped;

    lane #(
        .ACTIVATION_WIDTH(WIDTH), .WEIGHT_WIDTH(WIDTH), .ACCUMULATOR_WIDTH(ACCUMULATOR),
        .SATURATE_WIDTH(SATURATE + 64 * (MODE - 1))
    ) u_lane (
        .clock(clock), .select_2({load, vector, paired, padded, maximum}),
        .slow_path(forced_slow_path || {load, vector, paired, padded, maximum} != 5'b10000 || maximum_3 || complete_5),
        .broadcast_2(broadcast), .own_2(own), .weight_2(weight),
        .fire_3(fire_3), .first_3(first_3), .maximum_3(maximum_3),
        .fire_4(fire_4), .maximum_4(maximum_4), .replace_4(replace_4), .modelled_4(modelled_4), .complete_5(complete_5),
        .total(total), .clipped(clipped)
    );

    // The slow path is also taken by steps that do not need it; the results must be the same.
    reg forced_slow_path = 1'b0;

    always @(posedge clock) begin
        forced_slow_path <= !forced_slow_path;
        {fire_3, first_3, maximum_3, modelled_3, complete_3} <= {fire, first, maximum, modelled, complete};
        {fire_4, maximum_4, replace_4, modelled_4, complete_4} <=
            {fire_3, maximum_3, first_3 || maximum_3, modelled_3, complete_3};
        complete_5 <= complete_4;
    end

    // The expected totals, oldest first.
    integer due [0:TILES-1];
    integer wanted, checked, tile, tap, taps, sum, operand, multiplier, best;
    reg was_complete, any_clipped, clip_due;

    always @(posedge clock) begin
        was_complete <= complete_5;
        if (clipped === 1'b1) any_clipped <= 1'b1;
    end
    always @(negedge clock)
        if (was_complete === 1'b1) begin
            if (total !== due[checked])
                $fatal(1, "FAIL: vector %0d is %0d, expected %0d", checked, total, due[checked]);
            checked = checked + 1;
        end

    task idle;
        begin
            {load, fire, complete} = 3'b000;
            {broadcast, own, weight} = {3 * WIDTH{1'bx}};
            @(negedge clock);
        end
    endtask

    initial begin
        {fire, complete, fire_3, fire_4, complete_3, complete_4, complete_5, any_clipped, clip_due} = 0;
        {vector, paired, padded, maximum, first, modelled} = 0;
        wanted = 0;
        checked = 0;
        @(negedge clock);
        for (tile = 0; tile < TILES; tile = tile + 1) begin
            {vector, modelled} = $random;
            maximum = ($random & 3) == 0;
            paired = !maximum && ($random & 3) == 0;
            if (maximum) modelled = 1'b0;
            taps = 1 + ($unsigned($random) % 12);
            sum = 0;
            for (tap = 0; tap < taps; tap = tap + 1) begin
                padded = ($random & 7) == 0;
                first = tap == 0;
                load = 1'b1;
                fire = !paired;
                complete = !paired && tap == taps - 1;
                {broadcast, own, weight} = $random;
                if (padded) {broadcast, own} = {2 * WIDTH{1'bx}};
                if (padded && !maximum) weight = {WIDTH{1'bx}};
                if (maximum) weight = 3;
                operand = padded ? (maximum ? -128 : 0) : vector ? own : broadcast;
                multiplier = padded && !maximum ? 0 : weight;
                @(negedge clock);
                if (paired) begin
                    load = 1'b0;
                    fire = 1'b1;
                    complete = tap == taps - 1;
                    {broadcast, own, weight} = {{WIDTH{1'bx}}, $random} << WIDTH;
                    own = $random;
                    multiplier = padded ? 0 : own;
                    @(negedge clock);
                end
                if (maximum) begin
                    if (first || operand > best) begin
                        best = operand;
                        sum = operand * multiplier;
                    end
                end else begin
                    sum = sum + operand * multiplier;
                    if (modelled && sum > 16383) begin
                        sum = MODE == 3 ? 0 : 16383;
                        clip_due = 1'b1;
                    end
                    if (modelled && sum < (MODE == 2 ? -16383 : -16384)) begin
                        sum = MODE == 3 ? 0 : MODE == 2 ? -16383 : -16384;
                        clip_due = 1'b1;
                    end
                end
            end
            due[wanted] = sum;
            wanted = wanted + 1;
            if (($random & 3) == 0) repeat ($random & 3) idle;
        end
        repeat (8) idle;
        if (checked != TILES || any_clipped !== clip_due || !clip_due)
            $fatal(1, "FAIL: %0d of %0d tiles, clipped %b", checked, TILES, any_clipped);
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
