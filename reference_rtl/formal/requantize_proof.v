// SPDX-License-Identifier: MIT
// The module and its specification side by side; `equal_now` and `equal_late` are the claims.
//
// `equal_now` is about the module's combinational form, in which registers have been replaced by wires
// (`transparent.v`). `equal_late` is about the pipeline: the specification's answer waits four clocks, while the words
// go on changing and the settings, which belong to a whole run, stand still.
`default_nettype none
module requantize_proof #(
    parameter SUM_WIDTH = 48,
    parameter BIAS_WIDTH = 32,
    parameter OUTPUT_WIDTH = 16
) (
    input  wire                         clock,
    input  wire [19:0]                  settings,
    input  wire                         in_valid,
    input  wire signed [SUM_WIDTH-1:0]  sum,
    input  wire signed [BIAS_WIDTH-1:0] bias,
    input  wire [5:0]                   shift,
    output wire                         legal,
    output wire [5:0]                   leaky_distance,
    output wire                         negative,
    output wire                         held,
    output wire                         equal_now,
    output wire                         equal_late
);
    wire relu_before, relu_after, out_signed;
    wire [5:0] leak, out_bits;
    wire [2:0] rounding;
    wire [1:0] overflow;
    assign {relu_before, relu_after, out_signed, leak, out_bits, rounding, overflow} = settings;

    reg [19:0] settings_before;
    always @(posedge clock) settings_before <= settings;
    assign held = settings == settings_before;

    wire signed [65:0] exact = $signed(sum) + $signed(bias);
    assign negative = exact < 0;
    assign leaky_distance = shift + leak;

    wire out_valid, overflowed, spec_overflowed;
    wire [OUTPUT_WIDTH-1:0] word, spec_word;

    requantize #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) module_under_proof (
        .clock(clock), .relu_before(relu_before), .relu_after(relu_after), .leak(leak), .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .in_valid(in_valid), .sum(sum),
        .bias(bias), .shift(shift), .out_valid(out_valid), .word(word), .overflowed(overflowed)
    );
    requantize_spec #(.SUM_WIDTH(SUM_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH)) spec (
        .relu_before(relu_before), .relu_after(relu_after), .leak(leak), .rounding(rounding),
        .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed), .sum(sum), .bias(bias),
        .shift(shift), .word(spec_word), .overflowed(spec_overflowed)
    );

    // What the assembler guarantees: a format of at least one bit that fits the word, no distance above 63.
    assign legal = out_bits >= 1 && out_bits <= OUTPUT_WIDTH - (out_signed ? 0 : 1)
                && {1'b0, shift} + {1'b0, leak} <= 63;

    wire [OUTPUT_WIDTH+1:0] specified = {in_valid, spec_overflowed, spec_word};
    reg [OUTPUT_WIDTH+1:0] late_1, late_2, late_3, late_4;
    always @(posedge clock) begin
        late_1 <= specified;
        late_2 <= late_1;
        late_3 <= late_2;
        late_4 <= late_3;
    end
    assign equal_now = !in_valid || {out_valid, overflowed, word} == specified;
    assign equal_late = out_valid == late_4[OUTPUT_WIDTH+1]
                     && (!out_valid || {overflowed, word} == late_4[OUTPUT_WIDTH:0]);
endmodule
`default_nettype wire
