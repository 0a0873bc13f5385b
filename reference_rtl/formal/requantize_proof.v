// SPDX-License-Identifier: MIT
// What is claimed about `requantize`, in two parts that together say: four clocks after a word with `in_valid`, the
// module shows what `requantize_spec` says of it, whatever came before and comes after, while the settings stand still.
//
//   requantize_combinational   the module's combinational form (`transparent.v`: registers are wires) = specification
//   requantize_pipelined       the module from any state, after four clocks = its own combinational form
//
// `violated` must never be high. tests/proof/formal.py asks.
`default_nettype none
module requantize_combinational #(
    // Bits of the sum.
    parameter SUM_WIDTH = 48,
    // Bits of the bias.
    parameter BIAS_WIDTH = 32,
    // Bits of the resulting word.
    parameter OUTPUT_WIDTH = 16
) (
    input  wire                         clock,
    input  wire [19:0]                  settings,
    input  wire signed [SUM_WIDTH-1:0]  sum,
    input  wire signed [BIAS_WIDTH-1:0] bias,
    input  wire [5:0]                   shift,
    output wire                         violated
);
    wire relu_before, relu_after, out_signed;
    wire [5:0] leak, out_bits;
    wire [2:0] rounding;
    wire [1:0] overflow;
    assign {relu_before, relu_after, out_signed, leak, out_bits, rounding, overflow} = settings;

    wire out_valid, overflowed, spec_overflowed;
    wire [OUTPUT_WIDTH-1:0] word, spec_word;

    requantize #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) u_combinational_form (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(1'b1), .sum(sum),
        .bias(bias), .shift(shift), .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );
    requantize_spec #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) u_spec (
        .relu_before(relu_before), .relu_after(relu_after), .leak(leak), .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .sum(sum), .bias(bias),
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
    parameter OUTPUT_WIDTH = 16
) (
    input  wire                         clock,
    input  wire [19:0]                  settings,
    input  wire                         in_valid,
    input  wire signed [SUM_WIDTH-1:0]  sum,
    input  wire signed [BIAS_WIDTH-1:0] bias,
    input  wire [5:0]                   shift,
    output wire                         violated
);
    // The settings of the first clock, held.
    reg first;
    initial first = 1'b1;
    reg [19:0] kept;
    wire [19:0] held = first ? settings : kept;
    wire relu_before, relu_after, out_signed;
    wire [5:0] leak, out_bits;
    wire [2:0] rounding;
    wire [1:0] overflow;
    assign {relu_before, relu_after, out_signed, leak, out_bits, rounding, overflow} = held;

    wire out_valid, overflowed, now_valid, now_overflowed;
    wire [OUTPUT_WIDTH-1:0] word, now_word;

    requantize #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) u_pipeline (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(in_valid), .sum(sum),
        .bias(bias), .shift(shift), .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );
    requantize #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) u_combinational_form (
        .clock(clock), .reset(1'b0), .relu_before(relu_before), .relu_after(relu_after), .leak(leak),
        .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(1'b1), .sum(sum),
        .bias(bias), .shift(shift), .out_valid(now_valid), .word(now_word), .overflowed(now_overflowed)
    );

    // The answer of the combinational form waits four clocks; `age` counts the clocks until there is one.
    reg [3:0] age;
    initial age = 4'b0;
    reg [OUTPUT_WIDTH+1:0] late_1, late_2, late_3, late_4;
    always @(posedge clock) begin
        first <= 1'b0;
        kept <= held;
        age <= {age[2:0], 1'b1};
        late_1 <= {in_valid && now_valid, now_overflowed, now_word};
        late_2 <= late_1;
        late_3 <= late_2;
        late_4 <= late_3;
    end
    assign violated = age[3] && (out_valid != late_4[OUTPUT_WIDTH+1]
                              || out_valid && {overflowed, word} != late_4[OUTPUT_WIDTH:0]);
endmodule
`default_nettype wire
