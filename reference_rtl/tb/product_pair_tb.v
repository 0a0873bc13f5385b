// SPDX-License-Identifier: MIT
// product_pair.v against two products: every operand with the ends of both factors and with random ones, for both lanes
// at once and in turns.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module product_pair_tb;
    parameter ACTIVATION = 9;
    parameter WEIGHT = 8;
    localparam FACTOR = ACTIVATION > WEIGHT ? ACTIVATION : WEIGHT, PRODUCT = ACTIVATION + FACTOR, RANDOM = 40;
    localparam HALF = 1 << (ACTIVATION - 1);
    reg clock = 1'b0;
    always #5 clock = ~clock;

    reg second, both;
    reg signed [ACTIVATION-1:0] operand_0, operand_1;
    reg signed [FACTOR-1:0] factor_0, factor_1;
    wire signed [PRODUCT-1:0] product_0, product_1;
    wire carry;
    product_pair #(.ACTIVATION_WIDTH(ACTIVATION), .WEIGHT_WIDTH(WEIGHT)) u_product_pair (
        .clock(clock), .second(second), .operand_0(operand_0), .operand_1(operand_1), .factor_0(factor_0),
        .factor_1(factor_1), .both(both), .product_0(product_0), .product_1(product_1), .carry(carry)
    );

    integer checked, word, kind, turn, bits;

    // The lowest and highest number of this width, -1, 0, 1, and random ones.
    function integer factor(input integer which, input integer width);
        case (which)
            0: factor = -(1 << (width - 1));
            1: factor = (1 << (width - 1)) - 1;
            2: factor = -1;
            3: factor = 0;
            4: factor = 1;
            default: factor = ($unsigned($random) % (1 << width)) - (1 << (width - 1));
        endcase
    endfunction

    initial begin
        checked = 0;
        for (word = -HALF; word < HALF; word = word + 1)
            for (kind = 0; kind < 25 + RANDOM; kind = kind + 1)
                for (turn = 0; turn < 3; turn = turn + 1) begin
                    // Both lanes, the first, or the second; alone, a lane's factor may be an activation.
                    bits = turn == 0 ? WEIGHT : FACTOR;
                    factor_0 = turn == 2 ? 0 : factor(kind < 25 ? kind % 5 : 5, bits);
                    factor_1 = turn == 1 ? 0 : factor(kind < 25 ? kind / 5 : 5, bits);
                    operand_0 = turn == 2 ? $random : word;
                    operand_1 = turn == 1 ? $random : word;
                    second = turn == 2;
                    @(posedge clock);
                    #1 both = turn == 0;
                    {second, operand_0, operand_1} = $random;  // a clock later they are random
                    #1;
                    if (turn != 2 && product_0 !== word * factor_0 ||
                        turn != 1 && product_1 + $signed({1'b0, carry}) !== word * factor_1)
                        $fatal(1, "FAIL: %0d times %0d and %0d is %0d and %0d + %0d", word, factor_0, factor_1,
                               product_0, product_1, carry);
                    checked = checked + 1;
                end
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
