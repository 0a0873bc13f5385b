// SPDX-License-Identifier: MIT
// group_sum.v against sums in a loop: random totals, any number of groups; sums are held until the next tile ends.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module group_sum_tb;
    parameter LANES = 8;
    parameter WORDS = 4;
    localparam WIDTH = 12, TRIES = 1000, LEVELS = $clog2(WORDS);
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg complete;
    reg [2:0] groups;
    reg [LANES*WIDTH-1:0] totals, expected;
    wire [LANES*WIDTH-1:0] sums;
    reg [WIDTH-1:0] sum;
    integer number, lane, group, size, checked;

    group_sum #(.LANES(LANES), .WORDS(WORDS), .WIDTH(WIDTH)) u_group_sum (
        .clock(clock), .complete(complete), .groups(groups), .totals(totals), .sums(sums)
    );

    initial begin
        size = LANES;
        checked = 0;
        for (number = 0; number < TRIES; number = number + 1) begin
            complete = number == 0 || ($random & 1);
            groups = $unsigned($random) % (LEVELS + 1);
            for (lane = 0; lane < LANES; lane = lane + 1) totals[lane*WIDTH +: WIDTH] = $random;
            if (complete) begin
                size = LANES >> groups;
                for (lane = 0; lane < size; lane = lane + 1) begin
                    sum = 0;
                    for (group = 0; group < (1 << groups); group = group + 1)
                        sum = sum + totals[(group*size+lane)*WIDTH +: WIDTH];
                    expected[lane*WIDTH +: WIDTH] = sum;
                end
            end
            @(negedge clock);
            for (lane = 0; lane < size; lane = lane + 1) begin
                if (sums[lane*WIDTH +: WIDTH] !== expected[lane*WIDTH +: WIDTH])
                    $fatal(1, "FAIL: vector %0d, lane %0d: %h, expected %h", number, lane, sums[lane*WIDTH +: WIDTH],
                           expected[lane*WIDTH +: WIDTH]);
                checked = checked + 1;
            end
        end
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
