// SPDX-License-Identifier: MIT
// Compares noise.v, drawn with pauses, with the words of +vectors=F from +seed=S on; +count=N words.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module noise_tb;
    parameter DRAIN = 1;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg start = 1'b0;
    reg [DRAIN-1:0] draw = 0;
    reg [31:0] seed, expected;
    wire [DRAIN*32-1:0] numbers;
    reg [8*1024-1:0] name;
    integer file, count, number, status, drawn, place;

    noise #(.DRAIN(DRAIN)) u_noise (.clock(clock), .start(start), .seed(seed), .draw(draw), .numbers(numbers));

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count)
            && $value$plusargs("seed=%d", seed);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        start = 1'b1;
        @(negedge clock);
        start = 1'b0;
        number = 0;
        while (number < count) begin
            // One number, or up to DRAIN of them, with pauses.
            repeat (number % 3) @(negedge clock);
            drawn = 1 + $unsigned($random) % DRAIN;
            if (drawn > count - number) drawn = count - number;
            for (place = 0; place < drawn; place = place + 1) begin
                status = $fscanf(file, "%h", expected);
                if (status != 1) $fatal(1, "FAIL: vector %0d is missing", number);
                if (numbers[32*place +: 32] !== expected)
                    $fatal(1, "FAIL: vector %0d is %h, expected %h", number, numbers[32*place +: 32], expected);
                draw[place] = 1'b1;
                number = number + 1;
            end
            @(negedge clock);
            draw = 0;
        end
        $display("PASS: %0d vectors", count);
        $finish;
    end
endmodule
`default_nettype wire
