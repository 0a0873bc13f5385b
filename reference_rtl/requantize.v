// SPDX-License-Identifier: MIT
// Requantises one sum per clock: bias, multiplier, ReLU, shift, rounding, overflow. Latency: 4 clocks, and 3 more
// with a multiplier.
//
//   1  biased  = sum + bias, exact
//   with MULTIPLIER_WIDTH:
//   a, b  product = biased * multiplier, exact
//   c  value   = product;  with twice, of a word whose shift is 32 or more: product / 2**31, half up, and the shift is
//      31 less; of any other word the rounding below is HALF_UP
//   2  floor   = value >> distance, where distance = shift + (value < 0 ? leak : 0);  half, sticky = the lost bits;
//      relu_before: all 0 if value is negative
//   3  rounded = floor + round(half, sticky, sign, odd)
//   4  word    = overflow(rounded) into out_bits bits;  relu_after: 0 if negative
//
// Without a multiplier value is biased, and `twice` is ignored.
//
// round, by `rounding`:  0 FLOOR 0 | 1 TOWARD_ZERO negative & (half | sticky) | 2 HALF_UP half
//   3 HALF_DOWN half & sticky | 4 HALF_AWAY half & (sticky | positive) | 5 HALF_TOWARD_ZERO half & (sticky | negative)
//   6 HALF_EVEN half & (sticky | odd)
// overflow: 0 WRAP | 1 SATURATE | 2 SATURATE_SYMMETRIC | 3 ZERO
//
// sum, bias, multiplier and shift change with every word; the rest is constant from two clocks before the first word of
// a run to its last. An unsigned format has at most OUTPUT_WIDTH - 1 bits.
// Python twin: `Quantizer.from_ints` in fixedpoint_nn/numerics/quantizer.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module requantize #(
    // Bits of the sum.
    parameter SUM_WIDTH = 48,
    // Bits of the bias.
    parameter BIAS_WIDTH = 32,
    // Bits of the resulting word.
    parameter OUTPUT_WIDTH = 16,
    // Bits of the multiplier (signed), 2 to 32; 0: there is none.
    parameter MULTIPLIER_WIDTH = 0,
    // Derived width; not to be set.
    parameter FACTOR_WIDTH = MULTIPLIER_WIDTH > 0 ? MULTIPLIER_WIDTH : 1
) (
    input  wire                           clock,
    // Synchronous: discards the words in the pipeline.
    input  wire                           reset,

    // The run's settings.
    input  wire                           relu_before,
    input  wire                           relu_after,
    input  wire                           twice,
    input  wire [5:0]                     leak,
    input  wire [2:0]                     rounding,
    input  wire [1:0]                     overflow,
    input  wire [5:0]                     out_bits,
    input  wire                           out_signed,

    // One sum and its channel's parameters.
    input  wire                           in_valid,
    input  wire signed [SUM_WIDTH-1:0]    sum,
    input  wire signed [BIAS_WIDTH-1:0]   bias,
    input  wire signed [FACTOR_WIDTH-1:0] multiplier,
    input  wire [5:0]                     shift,

    // The word; overflowed: it did not fit its format.
    output reg                            out_valid,
    output reg  signed [OUTPUT_WIDTH-1:0] word,
    output reg                            overflowed
);
    localparam WIDTH = (SUM_WIDTH > BIAS_WIDTH ? SUM_WIDTH : BIAS_WIDTH) + 1;
    localparam KEPT = OUTPUT_WIDTH + 1;
    localparam [OUTPUT_WIDTH-1:0] ONES = {OUTPUT_WIDTH{1'b1}};

    initial begin
        if (OUTPUT_WIDTH >= WIDTH)
            $fatal(1, "%m: OUTPUT_WIDTH = %0d must be below the %0d bits of a biased sum", OUTPUT_WIDTH, WIDTH);
    end

    // 1: bias
    wire signed [WIDTH-1:0] wide_sum = {{(WIDTH-SUM_WIDTH){sum[SUM_WIDTH-1]}}, sum};
    wire signed [WIDTH-1:0] wide_bias = {{(WIDTH-BIAS_WIDTH){bias[BIAS_WIDTH-1]}}, bias};
    wire signed [WIDTH-1:0] sum_and_bias = wide_bias + wide_sum;
    reg signed [WIDTH-1:0] biased;
    reg [5:0] distance, leaky_distance;
    reg valid_1;

    // a to c: multiplier
    localparam PRODUCT_WIDTH = WIDTH + MULTIPLIER_WIDTH;
    localparam VALUE_WIDTH = MULTIPLIER_WIDTH > 0 && PRODUCT_WIDTH < 32 ? 32 : PRODUCT_WIDTH;
    wire signed [VALUE_WIDTH-1:0] value;
    wire [2:0] mode;
    wire valid, multiplying;
    generate
        if (MULTIPLIER_WIDTH == 0) begin : unscaled
            assign value = biased;
            assign mode = rounding;
            assign valid = valid_1;
            assign multiplying = 1'b0;
            always @(posedge clock) begin
                if (active && in_valid) begin
                    distance <= shift;
                    leaky_distance <= shift + leak;
                end
            end
        end else begin : scaled
            reg signed [MULTIPLIER_WIDTH-1:0] factor;
            reg [5:0] shift_1, shift_a, shift_b;
            wire busy, valid_b;
            wire signed [PRODUCT_WIDTH-1:0] product;
            multiply #(.A_WIDTH(WIDTH), .B_WIDTH(MULTIPLIER_WIDTH)) u_multiply (
                .clock(clock), .reset(reset), .in_valid(valid_1), .a(biased), .b(factor),
                .busy(busy), .out_valid(valid_b), .product(product)
            );
            // The carry of `product` / 2**31 is its highest lost bit.
            wire signed [VALUE_WIDTH-1:0] wide =
                {{(VALUE_WIDTH-PRODUCT_WIDTH+1){product[PRODUCT_WIDTH-1]}}, product[PRODUCT_WIDTH-2:0]};
            wire signed [VALUE_WIDTH-1:0] floor_of_31 = {{31{wide[VALUE_WIDTH-1]}}, wide[VALUE_WIDTH-1:31]};
            wire far = twice && shift_b[5];
            wire [5:0] left = far ? shift_b - 6'd31 : shift_b;
            reg signed [VALUE_WIDTH-1:0] scaled_sum;
            reg valid_c, half_up_c, half_up_2;
            assign value = scaled_sum;
            assign mode = half_up_2 ? 3'd2 : rounding;
            assign valid = valid_c;
            assign multiplying = busy || valid_c;
            initial valid_c = 1'b0;
            always @(posedge clock) begin
                if (active) begin
                    valid_c <= valid_b;
                    if (in_valid) begin
                        factor <= multiplier;
                        shift_1 <= shift;
                    end
                    if (valid_1) shift_a <= shift_1;
                    shift_b <= shift_a;
                    if (valid_b) begin
                        scaled_sum <= (far ? floor_of_31 : wide) + {{(VALUE_WIDTH-1){1'b0}}, far && wide[30]};
                        distance <= left;
                        leaky_distance <= left + leak;
                        half_up_c <= twice && !far;
                    end
                    if (valid_c) half_up_2 <= half_up_c;
                end
                if (reset) valid_c <= 1'b0;
            end
        end
    endgenerate

    // 2: shift, by sixteens, by fours, by ones. The lowest bit of the shifted value is the half; bits lost on the
    // right set `lost`. Each step keeps only the bits that can still reach the floor's lowest KEPT; those above them
    // must equal the sign, else the floor is `too_wide` for every format.
    localparam ONES_WIDTH = KEPT + 1;
    localparam FOURS_WIDTH = ONES_WIDTH + 3;
    localparam SIXTEENS_WIDTH = FOURS_WIDTH + 12;
    localparam EXTENDED = SIXTEENS_WIDTH + 48;
    wire below_0 = value[VALUE_WIDTH-1];
    wire [5:0] places = below_0 ? leaky_distance : distance;
    wire [EXTENDED-1:0] extended;
    wire beyond;
    generate
        if (VALUE_WIDTH < EXTENDED) begin : fits
            assign extended = {{(EXTENDED-VALUE_WIDTH){below_0}}, value[VALUE_WIDTH-2:0], 1'b0};
            assign beyond = 1'b0;
        end else begin : longer
            assign extended = {value[EXTENDED-2:0], 1'b0};
            assign beyond = |(value[VALUE_WIDTH-1:EXTENDED-1] ^ {(VALUE_WIDTH-EXTENDED+1){below_0}});
        end
    endgenerate
    wire [15:0] signs = {16{below_0}};
    reg [SIXTEENS_WIDTH-1:0] by_sixteens;
    reg [FOURS_WIDTH-1:0] by_fours;
    reg [ONES_WIDTH-1:0] shifted;
    reg [2:0] low_16, low_4, high_16, high_4;
    reg [3:0] high_1;
    reg lost, too_wide;
    reg [KEPT-1:0] floor;
    reg half, sticky, excess, negative, valid_2;
    always @* begin
        case (places[5:4])
            2'd0: by_sixteens = extended[0 +: SIXTEENS_WIDTH];
            2'd1: by_sixteens = extended[16 +: SIXTEENS_WIDTH];
            2'd2: by_sixteens = extended[32 +: SIXTEENS_WIDTH];
            2'd3: by_sixteens = extended[48 +: SIXTEENS_WIDTH];
        endcase
        low_16 = {|extended[47:32], |extended[31:16], |extended[15:0]};
        high_16 = {|(extended[SIXTEENS_WIDTH+32 +: 16] ^ signs), |(extended[SIXTEENS_WIDTH+16 +: 16] ^ signs),
                   |(extended[SIXTEENS_WIDTH +: 16] ^ signs)};
        case (places[3:2])
            2'd0: by_fours = by_sixteens[0 +: FOURS_WIDTH];
            2'd1: by_fours = by_sixteens[4 +: FOURS_WIDTH];
            2'd2: by_fours = by_sixteens[8 +: FOURS_WIDTH];
            2'd3: by_fours = by_sixteens[12 +: FOURS_WIDTH];
        endcase
        low_4 = {|by_sixteens[11:8], |by_sixteens[7:4], |by_sixteens[3:0]};
        high_4 = {|(by_sixteens[FOURS_WIDTH+8 +: 4] ^ signs[3:0]), |(by_sixteens[FOURS_WIDTH+4 +: 4] ^ signs[3:0]),
                  |(by_sixteens[FOURS_WIDTH +: 4] ^ signs[3:0])};
        case (places[1:0])
            2'd0: shifted = by_fours[0 +: ONES_WIDTH];
            2'd1: shifted = by_fours[1 +: ONES_WIDTH];
            2'd2: shifted = by_fours[2 +: ONES_WIDTH];
            2'd3: shifted = by_fours[3 +: ONES_WIDTH];
        endcase
        high_1 = by_fours[FOURS_WIDTH-1 -: 4] ^ signs[3:0];
        lost = |(low_16 & thermometer(places[5:4])) || |(low_4 & thermometer(places[3:2])) ||
            |(by_fours[2:0] & thermometer(places[1:0]));
        too_wide = beyond || |(high_16 & ~thermometer(places[5:4])) || |(high_4 & ~thermometer(places[3:2])) ||
            |(high_1 & {1'b1, ~thermometer(places[1:0])});
    end

    // Thermometer code: `number` ones from the right.
    function [2:0] thermometer(input [1:0] number);
        thermometer = {&number, number[1], |number};
    endfunction

    // 3: round
    reg round, valid_3, excess_3, negative_3;
    reg [KEPT:0] rounded;
    always @* case (mode)
        3'd1: round = negative && (half || sticky);
        3'd2: round = half;
        3'd3: round = half && sticky;
        3'd4: round = half && (sticky || !negative);
        3'd5: round = half && (sticky || negative);
        3'd6: round = half && (sticky || floor[0]);
        default: round = 1'b0;
    endcase

    // 4: overflow. `low` covers the magnitude bits of the format; outside it all bits must equal the sign
    reg [OUTPUT_WIDTH-1:0] low;
    wire sign = excess_3 ? negative_3 : rounded[KEPT];
    wire [KEPT:0] sign_xor = out_signed && sign ? ~rounded : rounded;
    wire misfit = excess_3 || |sign_xor[KEPT:OUTPUT_WIDTH] || |(sign_xor[OUTPUT_WIDTH-1:0] & ~low);
    wire lowest = out_signed && sign && !misfit && ~|(rounded[OUTPUT_WIDTH-1:0] & low);
    // The format's own sign bit, which is the sign of the wrapped value: the one bit above `low`.
    wire [OUTPUT_WIDTH:0] low_and_sign = {low, 1'b1};
    wire wrapped_sign = out_signed && |(rounded[OUTPUT_WIDTH-1:0] & ~low & low_and_sign[OUTPUT_WIDTH-1:0]);
    wire clamp = overflow != 2'd0 && (misfit || overflow == 2'd2 && lowest);
    wire to_zero = clamp && overflow == 2'd3;
    wire fill_low = clamp && !to_zero && !sign;
    wire fill_high = clamp ? !to_zero && out_signed && sign && (overflow != 2'd2 || low[0]) : wrapped_sign;
    wire rectify = relu_after && fill_high;
    wire [OUTPUT_WIDTH-1:0] low_part = clamp ? {OUTPUT_WIDTH{fill_low}} : rounded[OUTPUT_WIDTH-1:0];

    // One condition for the whole pipeline: while it is empty, a simulator skips it. Clearing has a separate condition,
    // which becomes the registers' synchronous reset.
    wire active = in_valid || valid_1 || multiplying || valid_2 || valid_3 || out_valid;
    wire clear_floor = valid && relu_before && below_0;
    wire clear_word = valid_3 && rectify;

    initial {valid_1, valid_2, valid_3, out_valid} = 4'b0;

    always @(posedge clock) begin
        if (active) begin
            {valid_1, valid_2, valid_3, out_valid} <= {in_valid, valid, valid_2, valid_3};
            if (in_valid) begin
                low <= ~(ONES << (out_bits - {5'b0, out_signed}));
                biased <= sum_and_bias;
            end
            if (valid) begin
                {floor, half} <= shifted;
                sticky <= lost;
                excess <= too_wide;
                negative <= below_0;
            end
            if (valid_2) begin
                rounded <= {floor[KEPT-1], floor} + {{KEPT{1'b0}}, round};
                excess_3 <= excess;
                negative_3 <= negative;
            end
            if (valid_3) begin
                word <= (low & low_part) | (~low & {OUTPUT_WIDTH{fill_high}})
                      | {{(OUTPUT_WIDTH-1){1'b0}}, clamp && fill_high && overflow == 2'd2};
                overflowed <= misfit || overflow == 2'd2 && lowest;
            end
        end
        if (clear_floor) {floor, half, sticky, excess, negative} <= {(KEPT+4){1'b0}};
        if (clear_word) word <= {OUTPUT_WIDTH{1'b0}};
        if (reset) {valid_1, valid_2, valid_3, out_valid} <= 4'b0;
    end
endmodule
`default_nettype wire
