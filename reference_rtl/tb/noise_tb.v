// SPDX-License-Identifier: MIT
// Compares noise.v, drawn with pauses, with the words of +vectors=F from +seed=S on; +count=N words.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module noise_tb;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg start = 1'b0, draw = 1'b0;
    reg [31:0] seed, expected;
    wire [31:0] state;
    reg [8*1024-1:0] name;
    integer file, count, number, status;

    noise u_noise (.clock(clock), .start(start), .seed(seed), .draw(draw), .state(state));

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count)
            && $value$plusargs("seed=%d", seed);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        start = 1'b1;
        @(negedge clock);
        start = 1'b0;
        for (number = 0; number < count; number = number + 1) begin
            status = $fscanf(file, "%h", expected);
            if (status != 1) $fatal(1, "FAIL: vector %0d is missing", number);
            repeat (number % 3) @(negedge clock);
            if (state !== expected) $fatal(1, "FAIL: vector %0d is %h, expected %h", number, state, expected);
            draw = 1'b1;
            @(negedge clock);
            draw = 1'b0;
        end
        $display("PASS: %0d vectors", count);
        $finish;
    end
endmodule
`default_nettype wire
