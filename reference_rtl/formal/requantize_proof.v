// SPDX-License-Identifier: MIT
// What is claimed about `requantize`, in two parts that together say: four clocks after a word with `in_valid`, the
// module shows what `requantize_spec` computes, for any inputs before and after, while the settings do not change.
//
//   requantize_combinational   the module's combinational form (`transparent.v`: registers are wires) = specification
//   requantize_pipelined       the module from any state, after four clocks = its own combinational form
//
// With MULTIPLIER_WIDTH these are seven clocks, and FREE_PRODUCT proves the first part with `free_product.v` in the
// place of the multiplier: the module's product may be any value, and the specification uses the same one.
//
// `violated` must never be high; tests/proof/formal.py proves it.
`default_nettype none
module requantize_combinational #(
    // Bits of the sum.
    parameter SUM_WIDTH = 48,
    // Bits of the bias.
    parameter BIAS_WIDTH = 32,
    // Bits of the resulting word.
    parameter OUTPUT_WIDTH = 16,
    // Bits of the multiplier; 0: there is none.
    parameter MULTIPLIER_WIDTH = 0,
    // The product is the factors' (0), or anything (1).
    parameter FREE_PRODUCT = 0,
    // Width that follows; not to be set.
    parameter FACTOR_WIDTH = MULTIPLIER_WIDTH > 0 ? MULTIPLIER_WIDTH : 1
) (
    input  wire                         clock,
    input  wire [20:0]                  settings,
    input  wire signed [SUM_WIDTH-1:0]  sum,
    input  wire signed [BIAS_WIDTH-1:0] bias,
    input  wire signed [FACTOR_WIDTH-1:0] multiplier,
    input  wire [5:0]                   shift,
    output wire                         violated
);
    wire relu_before, relu_after, twice, out_signed;
    wire [5:0] leak, out_bits;
    wire [2:0] rounding;
    wire [1:0] overflow;
    assign {relu_before, relu_after, twice, out_signed, leak, out_bits, rounding, overflow} = settings;

    wire out_valid, overflowed, spec_overflowed;
    wire [OUTPUT_WIDTH-1:0] word, spec_word;

    requantize #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_combinational_form (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(1'b1), .sum(sum),
        .bias(bias), .multiplier(multiplier), .shift(shift), .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );
    // The product: of the factors, or what the module has.
    localparam PRODUCT_WIDTH = (SUM_WIDTH > BIAS_WIDTH ? SUM_WIDTH : BIAS_WIDTH) + 1 + MULTIPLIER_WIDTH;
    (* hierconn *) wire [PRODUCT_WIDTH-1:0] \u_combinational_form.scaled.u_multiply.product ;
    wire signed [PRODUCT_WIDTH-1:0] biased = $signed(sum) + $signed(bias);
    wire signed [PRODUCT_WIDTH-1:0] factor = MULTIPLIER_WIDTH == 0 ? 1 : $signed(multiplier);
    wire signed [PRODUCT_WIDTH-1:0] product;
    generate
        if (MULTIPLIER_WIDTH == 0) begin : unscaled
            assign product = biased;
        end else if (FREE_PRODUCT) begin : free
            assign product = \u_combinational_form.scaled.u_multiply.product ;
        end else begin : exact
            assign product = biased * factor;
        end
    endgenerate
    requantize_spec #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_spec (
        .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak), .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .product(product),
        .shift(shift), .word(spec_word), .overflowed(spec_overflowed)
    );

    // What the assembler guarantees: a format of at least one bit that fits the word, no distance above 63.
    wire legal = out_bits >= 1 && out_bits <= OUTPUT_WIDTH - (out_signed ? 0 : 1)
              && {1'b0, shift} + {1'b0, leak} <= 63;

    assign violated = legal && {out_valid, overflowed, word} != {1'b1, spec_overflowed, spec_word};
endmodule

module requantize_pipelined #(
    // Bits of the sum.
    parameter SUM_WIDTH = 48,
    // Bits of the bias.
    parameter BIAS_WIDTH = 32,
    // Bits of the resulting word.
    parameter OUTPUT_WIDTH = 16,
    // Bits of the multiplier; 0: there is none.
    parameter MULTIPLIER_WIDTH = 0,
    // Width that follows; not to be set.
    parameter FACTOR_WIDTH = MULTIPLIER_WIDTH > 0 ? MULTIPLIER_WIDTH : 1
) (
    input  wire                         clock,
    input  wire [20:0]                  settings,
    input  wire                         in_valid,
    input  wire signed [SUM_WIDTH-1:0]  sum,
    input  wire signed [BIAS_WIDTH-1:0] bias,
    input  wire signed [FACTOR_WIDTH-1:0] multiplier,
    input  wire [5:0]                   shift,
    output wire                         violated
);
    // The settings of the first clock, held.
    reg first;
    initial first = 1'b1;
    reg [20:0] kept;
    wire [20:0] held = first ? settings : kept;
    wire relu_before, relu_after, twice, out_signed;
    wire [5:0] leak, out_bits;
    wire [2:0] rounding;
    wire [1:0] overflow;
    assign {relu_before, relu_after, twice, out_signed, leak, out_bits, rounding, overflow} = held;

    wire out_valid, overflowed, now_valid, now_overflowed;
    wire [OUTPUT_WIDTH-1:0] word, now_word;

    requantize #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_pipeline (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(in_valid), .sum(sum),
        .bias(bias), .multiplier(multiplier), .shift(shift), .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );
    requantize #(
        .SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH)
    ) u_combinational_form (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .twice(twice), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(1'b1), .sum(sum),
        .bias(bias), .multiplier(multiplier), .shift(shift), .out_valid(now_valid), .word(now_word),
        .overflowed(now_overflowed)
    );

    // The answer of the combinational form waits LATENCY clocks; `age` counts the clocks until there is one.
    localparam LATENCY = MULTIPLIER_WIDTH > 0 ? 7 : 4;
    localparam ANSWER = OUTPUT_WIDTH + 2;
    reg [LATENCY-1:0] age;
    initial age = {LATENCY{1'b0}};
    reg [LATENCY*ANSWER-1:0] late;
    wire [ANSWER-1:0] due = late[LATENCY*ANSWER-1 -: ANSWER];
    always @(posedge clock) begin
        first <= 1'b0;
        kept <= held;
        age <= {age[LATENCY-2:0], 1'b1};
        late <= {late[(LATENCY-1)*ANSWER-1:0], in_valid && now_valid, now_overflowed, now_word};
    end
    assign violated = age[LATENCY-1] && (out_valid != due[ANSWER-1]
                              || out_valid && {overflowed, word} != due[ANSWER-2:0]);
endmodule
`default_nettype wire
