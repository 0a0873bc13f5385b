// SPDX-License-Identifier: MIT
// Compares argmax.v with rows {clear before this word, word, index so far, best so far} of +vectors=F; +count=N rows.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module argmax_tb;
    parameter WIDTH = 8;
    parameter INDEX_WIDTH = 8;

    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg clear = 1'b0, valid = 1'b0;
    reg clear_first;
    reg signed [WIDTH-1:0] word, best_due;
    reg [INDEX_WIDTH-1:0] index_due;
    wire [INDEX_WIDTH-1:0] index;
    wire signed [WIDTH-1:0] best;
    reg [2*WIDTH+INDEX_WIDTH:0] row;
    reg [8*1024-1:0] name;
    integer file, count, number, status;

    argmax #(.WIDTH(WIDTH), .INDEX_WIDTH(INDEX_WIDTH)) u_argmax (
        .clock(clock), .clear(clear), .valid(valid), .word(word), .index(index), .best(best)
    );

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        for (number = 0; number < count; number = number + 1) begin
            status = $fscanf(file, "%h", row);
            if (status != 1 || ^row === 1'bx) $fatal(1, "FAIL: vector %0d is missing", number);
            {clear_first, word, index_due, best_due} = row;
            clear = clear_first;
            if (clear) @(negedge clock);
            clear = 1'b0;
            valid = 1'b1;
            @(negedge clock);
            valid = 1'b0;
            if (number % 5 == 0) @(negedge clock);
            if (index !== index_due || best !== best_due)
                $fatal(1, "FAIL: vector %0d: index %0d best %0d, expected %0d %0d", number, index, best, index_due,
                       best_due);
        end
        $display("PASS: %0d vectors", count);
        $finish;
    end
endmodule
`default_nettype wire
