// SPDX-License-Identifier: MIT
// Feeds requantize.v one vector per clock within a group of equal settings; compares words, flags and the latency of 4,
// or of 7 with a multiplier.
// +vectors=F: rows {relu_before, relu_after, twice, leak, rounding, overflow, out_bits, out_signed, sum, bias,
// multiplier (one bit where there is none), shift, word, overflowed}; +count=N rows.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module requantize_tb;
    parameter SUM_WIDTH = 48;
    parameter BIAS_WIDTH = 32;
    parameter OUTPUT_WIDTH = 16;
    parameter MULTIPLIER_WIDTH = 0;
    localparam FACTOR = MULTIPLIER_WIDTH > 0 ? MULTIPLIER_WIDTH : 1;
    localparam SETTINGS = 21;
    localparam ROW = SETTINGS + SUM_WIDTH + BIAS_WIDTH + FACTOR + 6 + OUTPUT_WIDTH + 1;
    localparam LATENCY = MULTIPLIER_WIDTH > 0 ? 7 : 4;

    reg clock = 1'b0;
    always #5 clock = ~clock;

    reg reset = 1'b0;
    reg relu_before, relu_after, twice, out_signed, in_valid;
    reg [5:0] leak, out_bits, shift;
    reg [2:0] rounding;
    reg [1:0] overflow;
    reg signed [SUM_WIDTH-1:0] sum;
    reg signed [BIAS_WIDTH-1:0] bias;
    reg signed [FACTOR-1:0] multiplier;
    reg signed [OUTPUT_WIDTH-1:0] word_due;
    reg overflowed_due;
    wire out_valid, overflowed;
    wire signed [OUTPUT_WIDTH-1:0] word;

    requantize #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_requantize (
        .clock(clock), .reset(reset), .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed),
        .in_valid(in_valid), .sum(sum), .bias(bias), .multiplier(multiplier), .shift(shift),
        .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );

    reg [8*1024-1:0] name;
    reg [ROW-1:0] row;
    reg [SETTINGS-1:0] settings;
    reg [OUTPUT_WIDTH:0] due [0:LATENCY];
    reg [LATENCY:0] coming;
    integer file, count, number, compared, status, place;

    task check;
        begin
            @(negedge clock);
            // The result of the input LATENCY clocks ago appears now.
            if (out_valid !== coming[LATENCY-1]) $fatal(1, "FAIL: vector %0d: out_valid is %b", compared, out_valid);
            if (coming[LATENCY-1]) begin
                if ({word, overflowed} !== due[LATENCY-1])
                    $fatal(1, "FAIL: vector %0d: word %h overflowed %b, expected %h %b", compared, word, overflowed,
                           due[LATENCY-1][OUTPUT_WIDTH:1], due[LATENCY-1][0]);
                compared = compared + 1;
            end
            for (place = LATENCY; place > 0; place = place - 1) due[place] = due[place-1];
            coming = coming << 1;
            in_valid = 1'b0;
        end
    endtask

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        compared = 0;
        coming = 0;
        in_valid = 1'b0;
        settings = {SETTINGS{1'bx}};
        for (number = 0; number < count; number = number + 1) begin
            status = $fscanf(file, "%h", row);
            if (status != 1 || ^row === 1'bx) $fatal(1, "FAIL: vector %0d is missing", number);
            if (row[ROW-1 -: SETTINGS] !== settings) begin
                // New settings wait until the pipeline is empty.
                repeat (LATENCY) check;
                settings = row[ROW-1 -: SETTINGS];
                {relu_before, relu_after, twice, leak, rounding, overflow, out_bits, out_signed} = settings;
                repeat (2) check;
            end
            {sum, bias, multiplier, shift, word_due, overflowed_due} = row[ROW-SETTINGS-1:0];
            due[0] = {word_due, overflowed_due};
            coming[0] = 1'b1;
            in_valid = 1'b1;
            check;
            if (number % 7 == 3) check;
            if (number % 11 == 5) repeat (LATENCY + 1) check;
        end
        repeat (LATENCY) check;
        if (compared != count) $fatal(1, "FAIL: %0d of %0d vectors came out", compared, count);
        // A reset discards a word in any stage.
        for (number = 0; number < LATENCY; number = number + 1) begin
            in_valid = 1'b1;
            @(negedge clock);
            in_valid = 1'b0;
            repeat (number) @(negedge clock);
            reset = 1'b1;
            @(negedge clock);
            reset = 1'b0;
            for (place = 0; place < LATENCY + 1; place = place + 1) begin
                if (out_valid !== 1'b0) $fatal(1, "FAIL: a word after a reset %0d clocks later", number);
                @(negedge clock);
            end
        end
        $display("PASS: %0d vectors", compared);
        $finish;
    end
endmodule
`default_nettype wire
