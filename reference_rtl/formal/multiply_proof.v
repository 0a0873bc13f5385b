// SPDX-License-Identifier: MIT
// What is claimed about `multiply`, in two parts that together say: two clocks after in_valid it shows a * b, for
// any inputs before and after.
//
//   multiply_combinational   the module's combinational form (`transparent.v`: registers are wires) = a * b
//   multiply_pipelined       the module from any state, after two clocks = its own combinational form
//
// `violated` must never be high; tests/proof/formal.py proves it.
`default_nettype none
module multiply_combinational #(
    // Bits of the factors.
    parameter A_WIDTH = 25,
    parameter B_WIDTH = 32
) (
    input  wire                      clock,
    input  wire signed [A_WIDTH-1:0] a,
    input  wire signed [B_WIDTH-1:0] b,
    output wire                      violated
);
    localparam WIDTH = A_WIDTH + B_WIDTH;
    wire busy, out_valid;
    wire signed [WIDTH-1:0] product;
    multiply #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH)) u_combinational_form (
        .clock(clock), .reset(1'b0), .in_valid(1'b1), .a(a), .b(b), .busy(busy), .out_valid(out_valid),
        .product(product)
    );
    // Multiples of a, one for each bit of b: the highest one counts negative.
    wire signed [WIDTH-1:0] wide_a = a;
    reg signed [WIDTH-1:0] due;
    integer bit_number;
    always @* begin
        due = b[B_WIDTH-1] ? -(wide_a <<< (B_WIDTH - 1)) : {WIDTH{1'b0}};
        for (bit_number = 0; bit_number < B_WIDTH - 1; bit_number = bit_number + 1)
            if (b[bit_number]) due = due + (wide_a <<< bit_number);
    end
    assign violated = !out_valid || product != due;
endmodule

module multiply_pipelined #(
    // Bits of the factors.
    parameter A_WIDTH = 25,
    parameter B_WIDTH = 32
) (
    input  wire                      clock,
    input  wire                      in_valid,
    input  wire signed [A_WIDTH-1:0] a,
    input  wire signed [B_WIDTH-1:0] b,
    output wire                      violated
);
    localparam WIDTH = A_WIDTH + B_WIDTH;
    wire busy, out_valid, now_busy, now_valid;
    wire signed [WIDTH-1:0] product, now_product;
    multiply #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH)) u_pipeline (
        .clock(clock), .reset(1'b0), .in_valid(in_valid), .a(a), .b(b), .busy(busy), .out_valid(out_valid),
        .product(product)
    );
    multiply #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH)) u_combinational_form (
        .clock(clock), .reset(1'b0), .in_valid(1'b1), .a(a), .b(b), .busy(now_busy), .out_valid(now_valid),
        .product(now_product)
    );
    reg [1:0] age;
    initial age = 2'b0;
    reg valid_1, valid_2;
    reg [WIDTH-1:0] product_1, product_2;
    always @(posedge clock) begin
        age <= {age[0], 1'b1};
        {valid_1, valid_2} <= {in_valid && now_valid, valid_1};
        {product_1, product_2} <= {now_product, product_1};
    end
    assign violated = age[1] && (out_valid != valid_2 || out_valid && product != product_2
                                 || busy != (valid_1 || valid_2));
endmodule
`default_nettype wire
