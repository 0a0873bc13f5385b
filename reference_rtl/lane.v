// SPDX-License-Identifier: MIT
// One multiply-accumulate lane: one output channel of a tile.
//
//   stage 2 -> 3   operand, multiplier = what this step reads
//   stage 3 -> 4   product = operand * multiplier;  larger = operand > the largest of this tile
//   stage 4 -> 5   accumulator = first ? product : accumulator + product;  maximum: product if larger
//   stage 5 -> 6   total = accumulator, after the tile's last step; it stays until the next tile is complete
//
// Inputs called *_n belong to the step that is in stage n. With MODEL_WIDTH, steps with `modelled` quantise the
// product first (PRODUCT_*) and keep to MODEL_WIDTH bits; wrapping to MODEL_WIDTH bits is done once, in drain.v,
// because it commutes with addition.
// With SHARED the product is computed outside, by `product_pair`, for two lanes. If they do not share the operand they
// take turns, and the multiplier of the idle lane is 0.
// Python twin: `totals` in fixedpoint_nn/hardware/emulator/datapath.py.
`default_nettype none
module lane #(
    // Bits of an activation word.
    parameter ACTIVATION_WIDTH = 16,
    // Bits of a weight.
    parameter WEIGHT_WIDTH = 16,
    // The product is an input.
    parameter SHARED = 0,
    // Bits of the accumulator.
    parameter ACCUMULATOR_WIDTH = 48,
    // Bits of the modelled accumulator, if it does not wrap, else 0; 64 more: symmetric saturation, 128 more: zero.
    parameter SATURATE_WIDTH = 0,
    // Quantised products: bits (0: exact), shift, signedness, rounding and overflow.
    parameter PRODUCT_BITS = 0,
    parameter PRODUCT_SHIFT = 0,
    parameter PRODUCT_SIGNED = 1,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 0,
    // Derived widths; not to be set.
    parameter MULTIPLIER_WIDTH = ACTIVATION_WIDTH > WEIGHT_WIDTH ? ACTIVATION_WIDTH : WEIGHT_WIDTH,
    parameter PRODUCT_WIDTH = ACTIVATION_WIDTH + MULTIPLIER_WIDTH
) (
    input  wire                                clock,

    // Stage 2: what is read. select: load the operand (else keep it), from the lane's own word, multiply by the own
    // word, padding (outside the image), and whether padding is the lowest word instead of 0.
    input  wire [4:0]                          select_2,
    // Stages 2, 3 and 5: anything but an operand for all lanes and a weight; maximum_3; complete_5.
    input  wire                                slow_path,
    input  wire signed [ACTIVATION_WIDTH-1:0]  broadcast_2,
    input  wire signed [ACTIVATION_WIDTH-1:0]  own_2,
    input  wire signed [WEIGHT_WIDTH-1:0]      weight_2,

    // Stages 2 to 5: what is done with it.
    input  wire                                fire_2,
    input  wire                                fire_3,
    input  wire                                first_3,
    input  wire                                maximum_3,
    input  wire                                fire_4,
    input  wire                                maximum_4,
    input  wire                                replace_4,
    input  wire                                modelled_4,
    input  wire                                complete_5,

    // The factors in stage 3, and with SHARED their product in stage 4, to which `carry_4` is added.
    output reg  signed [ACTIVATION_WIDTH-1:0]  operand,
    output reg  signed [MULTIPLIER_WIDTH-1:0]  multiplier,
    input  wire signed [PRODUCT_WIDTH-1:0]     product_4,
    input  wire                                carry_4,

    // The last complete sum, and whether a sum has just left the range of SATURATE_WIDTH bits.
    output reg  signed [ACCUMULATOR_WIDTH-1:0] total,
    output wire                                clipped
);
    localparam signed [ACTIVATION_WIDTH-1:0] LOWEST = {1'b1, {(ACTIVATION_WIDTH-1){1'b0}}};
    localparam signed [ACTIVATION_WIDTH-1:0] NO_WORD = 0;
    localparam signed [MULTIPLIER_WIDTH-1:0] NO_MULTIPLIER = 0;
    localparam signed [ACCUMULATOR_WIDTH-1:0] ZERO = 0;
    localparam EXACT = SATURATE_WIDTH == 0 && PRODUCT_BITS == 0;

    wire load_2, vector_2, paired_2, padded_2, lowest_2;
    assign {load_2, vector_2, paired_2, padded_2, lowest_2} = select_2;

    reg signed [ACTIVATION_WIDTH-1:0]  largest;
    reg                                larger_4;
    reg signed [PRODUCT_WIDTH-1:0]     product;
    reg signed [ACCUMULATOR_WIDTH-1:0] accumulator;
    wire signed [ACCUMULATOR_WIDTH-1:0] new_sum;
    wire take_4 = fire_4 && (!maximum_4 || larger_4);

    // Signed operands are sign-extended. The most common case is a separate branch, for the speed of simulators.
    always @(posedge clock) begin
        if (!slow_path) begin
            operand <= broadcast_2;
            multiplier <= weight_2;
        end else begin
            if (load_2) begin
                if (padded_2) operand <= lowest_2 ? LOWEST : NO_WORD;
                else if (vector_2) operand <= own_2;
                else operand <= broadcast_2;
            end
            // A padded step adds 0 even if the weight is undefined.
            if (padded_2 && !lowest_2 || SHARED != 0 && !fire_2) multiplier <= NO_MULTIPLIER;
            else if (paired_2) multiplier <= own_2;
            else multiplier <= weight_2;

            if (maximum_3) begin
                larger_4 <= first_3 || operand > largest;
                // Between two steps the operand stays, and is not larger; in the turn of the other lane it may be.
                if ((SHARED == 0 || fire_3) && (first_3 || operand > largest)) largest <= operand;
            end
            if (complete_5) total <= accumulator;
        end

        if (SHARED == 0) product <= operand * multiplier;

        if (take_4) begin
            if (EXACT && SHARED == 0) accumulator <= (replace_4 ? ZERO : accumulator) + product;
            else accumulator <= new_sum;
        end
    end

    // The sum of a modelled accumulator, or of a product from outside.
    generate
        if (EXACT && SHARED == 0) begin : exact
            assign new_sum = ZERO;
            assign clipped = 1'b0;
        end else if (EXACT) begin : exact_shared
            wire [ACCUMULATOR_WIDTH-1:0] wide_product =
                {{(ACCUMULATOR_WIDTH-PRODUCT_WIDTH+1){product_4[PRODUCT_WIDTH-1]}}, product_4[PRODUCT_WIDTH-2:0]};
            wire [ACCUMULATOR_WIDTH:0] sum_with_carry =
                {wide_product, 1'b1} + {replace_4 ? ZERO : accumulator, carry_4};
            assign new_sum = sum_with_carry[ACCUMULATOR_WIDTH:1];
            assign clipped = 1'b0;
        end else begin : modelled
            wire signed [ACCUMULATOR_WIDTH-1:0] wide_product, addend;
            if (SHARED == 0) begin : own_product
                assign wide_product = product;
            end else begin : shared_product
                wire [PRODUCT_WIDTH-1:0] carried = product_4 + {{(PRODUCT_WIDTH-1){1'b0}}, carry_4};
                assign wide_product =
                    {{(ACCUMULATOR_WIDTH-PRODUCT_WIDTH+1){carried[PRODUCT_WIDTH-1]}}, carried[PRODUCT_WIDTH-2:0]};
            end
            if (PRODUCT_BITS == 0) begin : exact_product
                assign addend = wide_product;
            end else begin : quantised_product
                wire signed [ACCUMULATOR_WIDTH-1:0] quantised;
                quantize_product #(
                    .WIDTH(ACCUMULATOR_WIDTH), .BITS(PRODUCT_BITS), .SHIFT(PRODUCT_SHIFT), .SIGNED(PRODUCT_SIGNED),
                    .ROUNDING(PRODUCT_ROUNDING), .OVERFLOW(PRODUCT_OVERFLOW)
                ) u_quantize_product (.product(wide_product), .quantised(quantised));
                assign addend = modelled_4 ? quantised : wide_product;
            end
            wire signed [ACCUMULATOR_WIDTH:0] sum = (replace_4 ? ZERO : accumulator) + addend;
            if (SATURATE_WIDTH == 0) begin : wrapping
                assign clipped = 1'b0;
                assign new_sum = sum[ACCUMULATOR_WIDTH-1:0];
            end else begin : saturating
                localparam BITS = SATURATE_WIDTH % 64, MODE = SATURATE_WIDTH / 64;
                localparam signed [ACCUMULATOR_WIDTH:0] HIGHEST_SUM = (1 <<< (BITS - 1)) - 1;
                localparam signed [ACCUMULATOR_WIDTH:0] LOWEST_SUM = -HIGHEST_SUM - (MODE == 1 ? 0 : 1);
                localparam signed [ACCUMULATOR_WIDTH:0] IF_ABOVE = MODE == 2 ? 0 : HIGHEST_SUM;
                localparam signed [ACCUMULATOR_WIDTH:0] IF_BELOW = MODE == 2 ? 0 : LOWEST_SUM;
                wire above = modelled_4 && sum > HIGHEST_SUM;
                wire below = modelled_4 && sum < LOWEST_SUM;
                assign clipped = take_4 && (above || below);
                assign new_sum = above ? IF_ABOVE[ACCUMULATOR_WIDTH-1:0]
                                    : below ? IF_BELOW[ACCUMULATOR_WIDTH-1:0]
                                    : sum[ACCUMULATOR_WIDTH-1:0];
            end
        end
    endgenerate
endmodule
`default_nettype wire
