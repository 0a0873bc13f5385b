// SPDX-License-Identifier: MIT
// Compares multiply.v with rows {a, b, product} of +vectors=F, one per clock with gaps; +count=N rows. Latency: 2.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module multiply_tb;
    parameter A_WIDTH = 25;
    parameter B_WIDTH = 32;
    localparam WIDTH = A_WIDTH + B_WIDTH;

    reg clock = 1'b0;
    always #5 clock = ~clock;

    reg in_valid, reset;
    reg signed [A_WIDTH-1:0] a;
    reg signed [B_WIDTH-1:0] b;
    reg signed [WIDTH-1:0] due [0:2];
    reg [2:0] coming;
    wire busy, out_valid;
    wire signed [WIDTH-1:0] product;
    reg [2*WIDTH-1:0] row;
    reg [8*1024-1:0] name;
    integer file, count, number, compared, status;

    multiply #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH)) u_multiply (
        .clock(clock), .reset(reset), .in_valid(in_valid), .a(a), .b(b), .busy(busy), .out_valid(out_valid),
        .product(product)
    );

    task check;
        begin
            @(negedge clock);
            if (out_valid !== coming[1] || busy !== |coming[1:0])
                $fatal(1, "FAIL: vector %0d: out_valid is %b, busy is %b", compared, out_valid, busy);
            if (coming[1]) begin
                if (product !== due[1])
                    $fatal(1, "FAIL: vector %0d: %0d, expected %0d", compared, product, due[1]);
                compared = compared + 1;
            end
            due[1] = due[0];
            coming = coming << 1;
            in_valid = 1'b0;
        end
    endtask

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        compared = 0;
        coming = 3'b0;
        in_valid = 1'b0;
        reset = 1'b0;
        @(negedge clock);
        for (number = 0; number < count; number = number + 1) begin
            status = $fscanf(file, "%h", row);
            if (status != 1 || ^row === 1'bx) $fatal(1, "FAIL: vector %0d is missing", number);
            {a, b, due[0]} = row;
            coming[0] = 1'b1;
            in_valid = 1'b1;
            check;
            if (number % 5 == 3) check;
        end
        repeat (2) check;
        if (compared != count) $fatal(1, "FAIL: %0d of %0d vectors came out", compared, count);
        // A reset discards products in the pipeline.
        in_valid = 1'b1;
        @(negedge clock);
        in_valid = 1'b0;
        reset = 1'b1;
        @(negedge clock);
        reset = 1'b0;
        repeat (3) begin
            if (busy || out_valid) $fatal(1, "FAIL: a product after a reset");
            @(negedge clock);
        end
        $display("PASS: %0d vectors", compared);
        $finish;
    end
endmodule
`default_nettype wire
