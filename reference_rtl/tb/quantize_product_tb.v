// SPDX-License-Identifier: MIT
// Compares quantize_product.v with rows {product, quantised} of +vectors=F; +count=N rows.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module quantize_product_tb;
    parameter WIDTH = 10;
    parameter BITS = 4;
    parameter SHIFT = 3;
    parameter SIGNED = 1;
    parameter ROUNDING = 0;
    parameter OVERFLOW = 0;

    reg signed [WIDTH-1:0] product, expected;
    wire signed [WIDTH-1:0] quantised;
    reg [2*WIDTH-1:0] row;
    reg [8*1024-1:0] name;
    integer file, count, number, status;

    quantize_product #(
        .WIDTH(WIDTH), .BITS(BITS), .SHIFT(SHIFT), .SIGNED(SIGNED), .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
    ) u_quantize_product (.product(product), .quantised(quantised));

    initial begin
        status = $value$plusargs("vectors=%s", name) && $value$plusargs("count=%d", count);
        file = $fopen(name, "r");
        if (file == 0) $fatal(1, "FAIL: +vectors= cannot be read");
        for (number = 0; number < count; number = number + 1) begin
            status = $fscanf(file, "%h", row);
            {product, expected} = row;
            if (status != 1 || ^row === 1'bx) $fatal(1, "FAIL: vector %0d is missing", number);
            #1;
            if (quantised !== expected)
                $fatal(1, "FAIL: vector %0d: product %0d gives %0d, expected %0d", number, product, quantised,
                       expected);
        end
        $display("PASS: %0d vectors", count);
        $finish;
    end
endmodule
`default_nettype wire
