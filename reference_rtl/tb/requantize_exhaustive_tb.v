// SPDX-License-Identifier: MIT
// Feeds requantize.v every sum at every shift from 0 to +shifts, one per clock, and writes the results.
// +relu_before= +relu_after= +twice= +multiplier= +leak= +rounding= +overflow= +out_bits= +out_signed= +bias= +shifts=
// numbers;
// +results=F  one hexadecimal {overflowed, word} per line, by shift and then by the bit pattern of the sum.
// Ends with "PASS: N words".
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module requantize_exhaustive_tb;
    parameter SUM_WIDTH = 16;
    parameter BIAS_WIDTH = 8;
    parameter OUTPUT_WIDTH = 8;
    parameter MULTIPLIER_WIDTH = 0;
    localparam FACTOR = MULTIPLIER_WIDTH > 0 ? MULTIPLIER_WIDTH : 1;

    reg clock = 1'b0;
    always #5 clock = ~clock;

    reg relu_before, relu_after, twice, out_signed, in_valid;
    reg [5:0] leak, out_bits, shift;
    reg [2:0] rounding;
    reg [1:0] overflow;
    reg signed [SUM_WIDTH-1:0] sum;
    reg signed [BIAS_WIDTH-1:0] bias;
    reg signed [FACTOR-1:0] multiplier;
    wire out_valid, overflowed;
    wire signed [OUTPUT_WIDTH-1:0] word;

    requantize #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_requantize (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed),
        .in_valid(in_valid), .sum(sum), .bias(bias), .multiplier(multiplier), .shift(shift),
        .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );

    reg [8*1024-1:0] name;
    integer file, shifts, given, number, written, last;

    always @(negedge clock)
        if (out_valid === 1'b1) begin
            if (^{overflowed, word} === 1'bx) $fatal(1, "FAIL: word %0d is X", written);
            $fwrite(file, "%h\n", {overflowed, word});
            written = written + 1;
        end

    initial begin
        written = 0;
        in_valid = 1'b0;
        if (!$value$plusargs("relu_before=%d", relu_before)) $fatal(1, "FAIL: +relu_before= is missing");
        if (!$value$plusargs("relu_after=%d", relu_after)) $fatal(1, "FAIL: +relu_after= is missing");
        if (!$value$plusargs("twice=%d", twice)) $fatal(1, "FAIL: +twice= is missing");
        if (!$value$plusargs("multiplier=%d", multiplier)) $fatal(1, "FAIL: +multiplier= is missing");
        if (!$value$plusargs("leak=%d", leak)) $fatal(1, "FAIL: +leak= is missing");
        if (!$value$plusargs("rounding=%d", rounding)) $fatal(1, "FAIL: +rounding= is missing");
        if (!$value$plusargs("overflow=%d", overflow)) $fatal(1, "FAIL: +overflow= is missing");
        if (!$value$plusargs("out_bits=%d", out_bits)) $fatal(1, "FAIL: +out_bits= is missing");
        if (!$value$plusargs("out_signed=%d", out_signed)) $fatal(1, "FAIL: +out_signed= is missing");
        if (!$value$plusargs("bias=%d", bias)) $fatal(1, "FAIL: +bias= is missing");
        if (!$value$plusargs("shifts=%d", shifts)) $fatal(1, "FAIL: +shifts= is missing");
        if (!$value$plusargs("results=%s", name)) $fatal(1, "FAIL: +results= is missing");
        file = $fopen(name, "w");
        if (file == 0) $fatal(1, "FAIL: the file of results cannot be written");
        last = (1 << SUM_WIDTH) - 1;
        repeat (2) @(negedge clock);
        for (given = 0; given <= shifts; given = given + 1)
            for (number = 0; number <= last; number = number + 1) begin
                shift = given[5:0];
                sum = number[SUM_WIDTH-1:0];
                in_valid = 1'b1;
                @(negedge clock);
            end
        in_valid = 1'b0;
        repeat (9) @(negedge clock);
        $fclose(file);
        if (written != (shifts + 1) << SUM_WIDTH) $fatal(1, "FAIL: %0d words came out", written);
        $display("PASS: %0d words", written);
        $finish;
    end
endmodule
`default_nettype wire
