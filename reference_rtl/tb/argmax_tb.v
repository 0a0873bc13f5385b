// SPDX-License-Identifier: MIT
// Compares argmax.v with rows {clear before this word, word, index so far, best so far} of +vectors=F; +count=N rows.
// Words come DRAIN at a time, or fewer; the result is compared at the last of them.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module argmax_tb;
    parameter DRAIN = 1;
    parameter WIDTH = 8;
    parameter INDEX_WIDTH = 8;

    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg clear = 1'b0, clear_first, again;
    reg [DRAIN-1:0] valid = 0;
    reg [DRAIN*WIDTH-1:0] words;
    reg signed [WIDTH-1:0] word, best_due;
    reg [INDEX_WIDTH-1:0] index_due;
    wire [INDEX_WIDTH-1:0] index;
    wire signed [WIDTH-1:0] best;
    reg [2*WIDTH+INDEX_WIDTH:0] row;
    reg [8*1024-1:0] name;
    integer file, count, number, status, wanted, place;

    argmax #(.DRAIN(DRAIN), .WIDTH(WIDTH), .INDEX_WIDTH(INDEX_WIDTH)) u_argmax (
        .clock(clock), .clear(clear), .valid(valid), .words(words), .index(index), .best(best)
    );

    task read_row;
        begin
            status = $fscanf(file, "%h", row);
            if (status != 1 || ^row === 1'bx) $fatal(1, "FAIL: vector %0d is missing", number);
            clear_first = row[2*WIDTH+INDEX_WIDTH];
        end
    endtask

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        number = 0;
        read_row;
        while (number < count) begin
            clear = clear_first;
            if (clear) @(negedge clock);
            clear = 1'b0;
            wanted = 1 + $unsigned($random) % DRAIN;
            words = {DRAIN{$random}};  // absent words hold random bits
            again = 1'b1;
            for (place = 0; place < wanted && again; place = place + 1) begin
                {clear_first, word, index_due, best_due} = row;
                words[place*WIDTH +: WIDTH] = word;
                valid[place] = 1'b1;
                number = number + 1;
                again = number < count;
                if (again) read_row;
                if (clear_first) again = 1'b0;
            end
            @(negedge clock);
            valid = 0;
            repeat (DRAIN > 1 ? 1 : 0) @(negedge clock);
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
