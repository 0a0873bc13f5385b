// SPDX-License-Identifier: MIT
// The engine: a sequencer, a loop nest, LANES multiply-accumulate lanes, DRAIN requantisers, five memories.
//
// Stages, counted from the clock in which a step is issued (docs/engine.md, Timing):
//    0 addresses   1-2 memories   3 operands   4 product   5 sum   6 totals of a complete tile; DRAIN channels a clock:
//    6-8 drain   9-12 requantiser   13-14 table   15 write
// A word written in stage 15 can be read by a step that is issued one clock later. A multiplier takes three more
// clocks, after stage 9, and joining groups of lanes (WORDS above 1) one, after stage 6.
//
// Python twin: `Emulator` in fixedpoint_nn/hardware/emulator/emulator.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "fields.vh"
`default_nettype none
module engine #(
    // Multiply-accumulate lanes: a power of two, 1 to 256.
    parameter LANES = 8,
    // Sums drained, requantised and written per clock: a power of two, 1 to 16, at most LANES.
    parameter DRAIN = 1,
    // Activation words that a step reads, each for a group of lanes: a power of two, 1 to 32, at most LANES.
    parameter WORDS = 1,
    // Lanes that share a multiplier: 1, or 2 where activations have at most 9 bits, weights 8, and a group 2 lanes.
    parameter PACK = 1,
    // Bits of an activation word, 2 to 32.
    parameter ACTIVATION_WIDTH = 16,
    // Bits of a weight, 2 to 32.
    parameter WEIGHT_WIDTH = 16,
    // Bits of an accumulator; at least those of a product, at most 63.
    parameter ACCUMULATOR_WIDTH = 48,
    // Bits of a bias, 2 to 63.
    parameter BIAS_WIDTH = 32,
    // Bits of the requantiser's multiplier, 2 to 32; 0: there is none.
    parameter MULTIPLIER_WIDTH = 0,
    // Bits of the modelled accumulator (0: none), and its overflow (WRAP, or another one, at every step).
    parameter MODEL_WIDTH = 0,
    parameter MODEL_SATURATE = 0,
    // Quantised products of modelled runs: bits (0: exact), shift, signedness, rounding and overflow.
    parameter PRODUCT_BITS = 0,
    parameter PRODUCT_SHIFT = 0,
    parameter PRODUCT_SIGNED = 1,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 0,
    // Bits of each counter among the status registers, 1 to 32.
    parameter COUNTER_WIDTH = 32,
    // Activation words (a multiple of LANES), rows of LANES weights, rows of DRAIN {multiplier, shift, bias}, table
    // words, program words.
    parameter ACTIVATION_DEPTH = 4096,
    parameter WEIGHT_DEPTH = 4096,
    parameter PARAMETER_DEPTH = 512,
    parameter TABLE_DEPTH = 4096,
    parameter PROGRAM_DEPTH = 1024,
    // The last rows of the weight memory that are the window for weights streamed from outside; 0: there is none.
    parameter WEIGHT_WINDOW = 0,
    // The host may write activations while the engine is busy (1), or not (0).
    parameter HOST_WRITES = 0,
    // $readmemh files of the memories' initial contents, for synthesis; empty: none.
    parameter ACTIVATION_IMAGE = "",
    parameter WEIGHT_IMAGE = "",
    parameter PARAMETER_IMAGE = "",
    parameter TABLE_IMAGE = "",
    parameter PROGRAM_IMAGE = "",
    // Derived widths; not to be set.
    parameter PARAMETER_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH),
    parameter WIDER_WIDTH = PARAMETER_WIDTH > 32 ? PARAMETER_WIDTH : 32,
    parameter LOAD_WIDTH = LANES * WEIGHT_WIDTH > WIDER_WIDTH ? LANES * WEIGHT_WIDTH : WIDER_WIDTH
) (
    input  wire                               clock,
    // Synchronous; one clock of it ends the program and empties the pipeline.
    input  wire                               reset,

    // Control: start (one clock, when not busy) runs the program from word 0; done stays high until the next start.
    input  wire                               start,
    input  wire [31:0]                        seed,
    output wire                               busy,
    output wire                               done,

    // Activation port, while not busy (writes: or `host_turn`); the word is valid two clocks after its address.
    input  wire                               host_write,
    input  wire [23:0]                        host_address,
    input  wire signed [ACTIVATION_WIDTH-1:0] host_write_data,
    output wire signed [ACTIVATION_WIDTH-1:0] host_read_data,
    // With HOST_WRITES: the engine is busy and writes nothing in this clock, so that a word of the host is written.
    output wire                               host_turn,

    // Load port of the other memories, while not busy: 0 program, 1 weights, 2 parameters, 3 tables.
    input  wire                               load_enable,
    input  wire [1:0]                         load_memory,
    input  wire [23:0]                        load_address,
    input  wire [LOAD_WIDTH-1:0]              load_data,

    // Streamed weights, one row per clock in which both are high, in the order of use; a reset restarts the stream.
    // Without a window no row is accepted.
    input  wire                               weight_valid,
    output wire                               weight_ready,
    input  wire [LANES*WEIGHT_WIDTH-1:0]      weight_row,

    // Status of the run since the last start.
    output wire [31:0]                        cycles,
    output wire [31:0]                        mac_cycles,
    output wire [31:0]                        saturations,
    output wire                               accumulator_overflow,
    output wire [31:0]                        argmax,
    // Clocks in which a step waited only for streamed weights.
    output wire [31:0]                        stalls
);
    // Lanes, words per clock, and bits of words, weights, sums, biases and counters as elaborated: the parameters'
    // values, or those of a small engine for illegal ones, so that elaboration reaches the error message.
    localparam WIDER_FACTOR = ACTIVATION_WIDTH > WEIGHT_WIDTH ? ACTIVATION_WIDTH : WEIGHT_WIDTH;
    localparam PRODUCT_WIDTH = ACTIVATION_WIDTH + WIDER_FACTOR;
    localparam LANES_LEGAL = LANES >= 1 && LANES <= 256 && (LANES & (LANES - 1)) == 0;
    localparam DRAIN_LEGAL = DRAIN >= 1 && DRAIN <= 16 && DRAIN <= LANES && (DRAIN & (DRAIN - 1)) == 0;
    localparam WORDS_LEGAL = WORDS >= 1 && WORDS <= 32 && WORDS <= LANES && (WORDS & (WORDS - 1)) == 0;
    localparam PACK_LEGAL =
        PACK == 1 || PACK == 2 && 2 * WORDS <= LANES && ACTIVATION_WIDTH <= 9 && WEIGHT_WIDTH <= 8;
    localparam LEGAL = LANES_LEGAL && DRAIN_LEGAL && WORDS_LEGAL && PACK_LEGAL
        && ACTIVATION_WIDTH >= 2 && ACTIVATION_WIDTH <= 32 && WEIGHT_WIDTH >= 2 && WEIGHT_WIDTH <= 32
        && ACCUMULATOR_WIDTH >= PRODUCT_WIDTH && ACCUMULATOR_WIDTH <= 63 && BIAS_WIDTH >= 2 && BIAS_WIDTH <= 63
        && (MULTIPLIER_WIDTH == 0 || MULTIPLIER_WIDTH >= 2 && MULTIPLIER_WIDTH <= 32)
        && COUNTER_WIDTH >= 1 && COUNTER_WIDTH <= 32;
    localparam COUNT = LEGAL ? LANES : 1;
    localparam SUMS = LEGAL ? DRAIN : 1;
    localparam READ = LEGAL ? WORDS : 1;
    localparam SHARING = LEGAL ? PACK : 1;
    localparam WORD = LEGAL ? ACTIVATION_WIDTH : 8;
    localparam WEIGHT = LEGAL ? WEIGHT_WIDTH : 8;
    localparam SUM = LEGAL ? ACCUMULATOR_WIDTH : 16;
    localparam BIAS = LEGAL ? BIAS_WIDTH : 8;
    localparam COUNTER = LEGAL ? COUNTER_WIDTH : 32;
    localparam FACTOR = LEGAL ? MULTIPLIER_WIDTH : 0;
    localparam PARAMETER = FACTOR + 6 + BIAS;
    localparam CHANNEL_WIDTH = COUNT > 1 ? $clog2(COUNT) : 1;

    localparam ROWS = ACTIVATION_DEPTH / COUNT;
    localparam LANE_BITS = $clog2(COUNT);
    // At least one bit, so that elaboration of a memory of one word reaches the error message.
    localparam ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
    localparam WEIGHT_BITS = WEIGHT_DEPTH > 1 ? $clog2(WEIGHT_DEPTH) : 1;
    localparam PARAMETER_BITS = PARAMETER_DEPTH > 1 ? $clog2(PARAMETER_DEPTH) : 1;
    localparam TABLE_BITS = TABLE_DEPTH > 1 ? $clog2(TABLE_DEPTH) : 1;
    localparam PROGRAM_BITS = PROGRAM_DEPTH > 1 ? $clog2(PROGRAM_DEPTH) : 1;
    localparam WIDEST_A = ROW_BITS + LANE_BITS > WEIGHT_BITS ? ROW_BITS + LANE_BITS : WEIGHT_BITS;
    localparam WIDEST_B = PARAMETER_BITS > TABLE_BITS ? PARAMETER_BITS : TABLE_BITS;
    localparam WIDEST_C = WIDEST_A > WIDEST_B ? WIDEST_A : WIDEST_B;
    localparam WIDEST_D = WIDEST_C > PROGRAM_BITS ? WIDEST_C : PROGRAM_BITS;
    localparam ADDRESS_WIDTH = WIDEST_D > 8 ? WIDEST_D : 8;
    localparam REQUANTIZE = FACTOR > 0 ? 7 : 4;
    localparam JOIN = READ > 1 ? 1 : 0;
    localparam LATENCY = 11 + REQUANTIZE + JOIN;

    initial begin
        if (!LANES_LEGAL) $fatal(1, "%m: LANES = %0d; use 1, 2, 4, 8, 16, 32, 64, 128 or 256", LANES);
        if (!DRAIN_LEGAL) $fatal(1, "%m: DRAIN = %0d; use 1, 2, 4, 8 or 16, and at most LANES = %0d", DRAIN, LANES);
        if (!WORDS_LEGAL)
            $fatal(1, "%m: WORDS = %0d; use 1, 2, 4, 8, 16 or 32, and at most LANES = %0d", WORDS, LANES);
        if (!PACK_LEGAL)
            $fatal(1, "%m: PACK = %0d; use 1, or 2 with ACTIVATION_WIDTH at most 9, WEIGHT_WIDTH 8 and WORDS LANES / 2",
                   PACK);
        if (ACTIVATION_WIDTH < 2 || ACTIVATION_WIDTH > 32)
            $fatal(1, "%m: ACTIVATION_WIDTH = %0d; use 2 to 32", ACTIVATION_WIDTH);
        if (WEIGHT_WIDTH < 2 || WEIGHT_WIDTH > 32)
            $fatal(1, "%m: WEIGHT_WIDTH = %0d; use 2 to 32", WEIGHT_WIDTH);
        if (PRODUCT_WIDTH > 63)
            $fatal(1, "%m: ACTIVATION_WIDTH = %0d and WEIGHT_WIDTH = %0d make products of %0d bits; use at most 63",
                   ACTIVATION_WIDTH, WEIGHT_WIDTH, PRODUCT_WIDTH);
        if (ACCUMULATOR_WIDTH < PRODUCT_WIDTH || ACCUMULATOR_WIDTH > 63)
            $fatal(1, "%m: ACCUMULATOR_WIDTH = %0d; use %0d (a product's bits) to 63",
                   ACCUMULATOR_WIDTH, PRODUCT_WIDTH);
        if (BIAS_WIDTH < 2 || BIAS_WIDTH > 63)
            $fatal(1, "%m: BIAS_WIDTH = %0d; use 2 to 63", BIAS_WIDTH);
        if (MULTIPLIER_WIDTH != 0 && (MULTIPLIER_WIDTH < 2 || MULTIPLIER_WIDTH > 32))
            $fatal(1, "%m: MULTIPLIER_WIDTH = %0d; use 0 (none) or 2 to 32", MULTIPLIER_WIDTH);
        if (MODEL_WIDTH != 0 && (MODEL_WIDTH < 2 || MODEL_WIDTH > ACCUMULATOR_WIDTH))
            $fatal(1, "%m: MODEL_WIDTH = %0d; use 0 (none) or 2 to ACCUMULATOR_WIDTH = %0d", MODEL_WIDTH,
                   ACCUMULATOR_WIDTH);
        if (MODEL_SATURATE < 0 || MODEL_SATURATE > 3 || PRODUCT_SIGNED != 0 && PRODUCT_SIGNED != 1)
            $fatal(1, "%m: MODEL_SATURATE = %0d, PRODUCT_SIGNED = %0d; use 0 to 3, and 0 or 1", MODEL_SATURATE,
                   PRODUCT_SIGNED);
        if (PRODUCT_BITS < 0 || PRODUCT_BITS >= ACCUMULATOR_WIDTH)
            $fatal(1, "%m: PRODUCT_BITS = %0d; use 0 (exact products) or 1 to %0d", PRODUCT_BITS,
                   ACCUMULATOR_WIDTH - 1);
        if (PRODUCT_SHIFT < 0 || PRODUCT_SHIFT >= ACCUMULATOR_WIDTH)
            $fatal(1, "%m: PRODUCT_SHIFT = %0d; use 0 to %0d", PRODUCT_SHIFT, ACCUMULATOR_WIDTH - 1);
        if (PRODUCT_ROUNDING < 0 || PRODUCT_ROUNDING > 6 || PRODUCT_OVERFLOW < 0 || PRODUCT_OVERFLOW > 3)
            $fatal(1, "%m: PRODUCT_ROUNDING = %0d, PRODUCT_OVERFLOW = %0d; use 0 to 6 and 0 to 3", PRODUCT_ROUNDING,
                   PRODUCT_OVERFLOW);
        if (COUNTER_WIDTH < 1 || COUNTER_WIDTH > 32)
            $fatal(1, "%m: COUNTER_WIDTH = %0d; use 1 to 32", COUNTER_WIDTH);
        if (WEIGHT_WINDOW != 0 && (WEIGHT_WINDOW < 2 || WEIGHT_WINDOW > WEIGHT_DEPTH))
            $fatal(1, "%m: WEIGHT_WINDOW = %0d; use 0 (none) or 2 to WEIGHT_DEPTH = %0d", WEIGHT_WINDOW, WEIGHT_DEPTH);
        if (HOST_WRITES != 0 && HOST_WRITES != 1) $fatal(1, "%m: HOST_WRITES = %0d; use 0 or 1", HOST_WRITES);
        if (ACTIVATION_DEPTH % COUNT != 0)
            $fatal(1, "%m: ACTIVATION_DEPTH = %0d is not a multiple of LANES = %0d", ACTIVATION_DEPTH, LANES);
        if (ADDRESS_WIDTH > 24)
            $fatal(1, "%m: a memory needs %0d address bits; instructions have 24", ADDRESS_WIDTH);
    end

    // Sequencer and loop nest
    wire [31:0] program_word;
    wire [ADDRESS_WIDTH-1:0] program_address, access_address, nest_address, weight_address;
    wire program_enable, offered, take, idle, loading, access_write, access_best, mac, configure;
    wire [`RUN_BITS-1:0] description, run;
    wire signed [WORD-1:0] broadcast;

    sequencer #(.ADDRESS_WIDTH(ADDRESS_WIDTH), .WIDTH(WORD), .SHORT(READ > 1 ? 1 : 0)) u_sequencer (
        .clock(clock), .reset(reset), .start(start), .busy(busy), .done(done),
        .program_address(program_address), .program_enable(program_enable), .word(program_word),
        .offered(offered), .description(description), .take(take), .idle(idle),
        .access_address(access_address), .loading(loading), .access_write(access_write), .access_best(access_best),
        .loaded(broadcast)
    );

    wire [4:0] select_2;
    wire slow_path, first_3, maximum_3, maximum_4, replace_4, modelled_4, complete_5, pixel_end_5;
    wire [SHARING-1:0] fire_2, fire_3, fire_4;
    wire [CHANNEL_WIDTH-1:0] channels_4, channels_5;
    wire [READ-1:0] padding_2;
    wire [2:0] groups_2, join_5;
    wire skip_2;
    wire row_missing, set_up, weights_restart, last_pass, row_awaited;

    loop_nest #(
        .LANES(COUNT), .DRAIN(SUMS), .WORDS(READ), .PACK(SHARING), .ADDRESS_WIDTH(ADDRESS_WIDTH), .LATENCY(LATENCY)
    ) u_loop_nest (
        .clock(clock), .reset(reset), .offered(offered), .description(description), .take(take), .idle(idle),
        .row_missing(row_missing), .set_up(set_up), .weights_restart(weights_restart), .last_pass(last_pass),
        .row_awaited(row_awaited),
        .address(nest_address), .weight_address(weight_address), .mac(mac), .configure(configure), .run(run),
        .select_2(select_2), .padding_2(padding_2), .groups_2(groups_2), .skip_2(skip_2), .slow_path(slow_path),
        .fire_2(fire_2), .fire_3(fire_3), .first_3(first_3), .maximum_3(maximum_3),
        .fire_4(fire_4), .maximum_4(maximum_4), .replace_4(replace_4), .modelled_4(modelled_4), .channels_4(channels_4),
        .complete_5(complete_5), .join_5(join_5), .channels_5(channels_5), .pixel_end_5(pixel_end_5)
    );

    // Settings of the run whose results are in the back end; the loop nest may already execute the next run.
    // The words of a pixel's last clock, minus one.
    localparam [31:0] SUMS_BUT_ONE = SUMS - 1;
    wire [CHANNEL_WIDTH-1:0] last_words = run[`RUN_LAST_CHANNELS +: CHANNEL_WIDTH] & SUMS_BUT_ONE[CHANNEL_WIDTH-1:0];
    reg [ADDRESS_WIDTH-1:0] parameter_base, output_base, pixel_step, table_base;
    reg per_tile, modelled, relu_before, relu_after, twice, table_enable, noise_enable, argmax_enable, write_enable,
        out_signed;
    // The words of every other clock, minus one: fewer than leave at once if the groups' lanes are fewer.
    wire [ADDRESS_WIDTH-1:0] clock_step;
    localparam [31:0] COUNT_BUT_ONE = COUNT - 1;
    generate
        if (READ > 1) begin : joined_words
            reg [CHANNEL_WIDTH-1:0] step;
            wire [CHANNEL_WIDTH-1:0] tile = COUNT_BUT_ONE[CHANNEL_WIDTH-1:0] >> run[`RUN_GROUPS +: 3];
            always @(posedge clock)
                if (configure)
                    step <= (run[`RUN_JOINED] ? tile : COUNT_BUT_ONE[CHANNEL_WIDTH-1:0])
                        & SUMS_BUT_ONE[CHANNEL_WIDTH-1:0];
            assign clock_step = {{(ADDRESS_WIDTH-CHANNEL_WIDTH){1'b0}}, step};
        end else begin : all_words
            assign clock_step = SUMS_BUT_ONE[ADDRESS_WIDTH-1:0];
        end
    endgenerate
    reg [2:0] rounding;
    reg [1:0] overflow;
    reg [5:0] out_bits, leak;
    reg configured;
    always @(posedge clock) begin
        configured <= configure;
        if (configure) begin
            parameter_base <= run[`RUN_PARAMETER_BASE +: ADDRESS_WIDTH];
            output_base <= run[`RUN_OUTPUT_BASE +: ADDRESS_WIDTH];
            pixel_step <= run[`RUN_OUTPUT_GAP +: ADDRESS_WIDTH] + {{(ADDRESS_WIDTH-CHANNEL_WIDTH){1'b0}}, last_words};
            table_base <= run[`RUN_TABLE_BASE +: ADDRESS_WIDTH];
            per_tile <= run[`RUN_PER_TILE];
            modelled <= run[`RUN_MODELLED];
            relu_before <= run[`RUN_RELU_BEFORE];
            relu_after <= run[`RUN_RELU_AFTER];
            twice <= run[`RUN_TWICE];
            table_enable <= run[`RUN_TABLE];
            noise_enable <= run[`RUN_NOISE];
            argmax_enable <= run[`RUN_ARGMAX];
            write_enable <= run[`RUN_WRITE];
            rounding <= run[`RUN_ROUNDING +: 3];
            overflow <= run[`RUN_OVERFLOW +: 2];
            out_bits <= run[`RUN_OUT_BITS +: 6];
            out_signed <= run[`RUN_OUT_SIGNED];
            leak <= run[`RUN_LEAK +: 6];
        end
    end

    // Lanes
    wire [COUNT*WORD-1:0] row;
    wire [READ*WORD-1:0] read_words;
    wire [COUNT*WEIGHT-1:0] weights;
    wire [COUNT*SUM-1:0] totals;
    // Lanes without a channel sum undefined words: their overflow is masked.
    wire [COUNT-1:0] clipped, clipped_channel;
    localparam FACTOR_3 = WORD > WEIGHT ? WORD : WEIGHT;
    genvar index, level;
    generate
        // The words that groups of lanes read, some replaced by padding, or every second word.
        if (READ > 1) begin : read
            wire [READ*WORD-1:0] seen;
            for (index = 0; index < READ; index = index + 1) begin : words
                wire [WORD-1:0] none = {select_2[0], {(WORD-1){1'b0}}};
                wire [WORD-1:0] word = padding_2[index] ? none : read_words[index*WORD +: WORD];
                if (2 * index < READ) begin : first_half
                    assign seen[index*WORD +: WORD] = skip_2 ? words[2*index].word : word;
                end else begin : second_half
                    assign seen[index*WORD +: WORD] = word;
                end
            end
        end
        for (index = 0; index < COUNT; index = index + 1) begin : lanes
            wire signed [WORD-1:0] operand_2, operand_3;
            wire signed [FACTOR_3-1:0] multiplier_3;
            wire signed [WORD+FACTOR_3-1:0] product_4;
            wire carry_4;
            if (READ > 1) begin : grouped
                wire [WORD-1:0] of_groups [0:7];
                for (level = 0; level < 8; level = level + 1) begin : levels
                    localparam GROUP = level > $clog2(READ) ? 0 : index >> (LANE_BITS - level);
                    assign of_groups[level] = read.seen[GROUP*WORD +: WORD];
                end
                assign operand_2 = of_groups[groups_2];
            end else begin : alike
                assign operand_2 = broadcast;
            end
            lane #(
                .ACTIVATION_WIDTH(WORD), .WEIGHT_WIDTH(WEIGHT), .SHARED(SHARING > 1 ? 1 : 0), .ACCUMULATOR_WIDTH(SUM),
                .SATURATE_WIDTH(MODEL_SATURATE != 0 && MODEL_WIDTH != 0 ? MODEL_WIDTH + 64 * (MODEL_SATURATE - 1) : 0),
                .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT), .PRODUCT_SIGNED(PRODUCT_SIGNED),
                .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW)
            ) u_lane (
                .clock(clock), .select_2(select_2), .slow_path(slow_path),
                .broadcast_2(operand_2), .own_2(row[index*WORD +: WORD]),
                .weight_2(weights[index*WEIGHT +: WEIGHT]),
                .fire_2(fire_2[index%SHARING]), .fire_3(fire_3[index%SHARING]), .first_3(first_3),
                .maximum_3(maximum_3), .fire_4(fire_4[index%SHARING]), .maximum_4(maximum_4), .replace_4(replace_4),
                .modelled_4(modelled_4), .complete_5(complete_5),
                .operand(operand_3), .multiplier(multiplier_3), .product_4(product_4), .carry_4(carry_4),
                .total(totals[index*SUM +: SUM]), .clipped(clipped[index])
            );
            assign clipped_channel[index] = clipped[index] && index <= channels_4;
            if (SHARING == 1) begin : own_product
                assign product_4 = {(WORD+FACTOR_3){1'b0}};
                assign carry_4 = 1'b0;
            end else if (index % 2 == 0) begin : pair
                // The first lane multiplies with the second one, or alone in its turn.
                product_pair #(.ACTIVATION_WIDTH(WORD), .WEIGHT_WIDTH(WEIGHT)) u_product_pair (
                    .clock(clock), .second(!fire_3[0]),
                    .operand_0(operand_3), .operand_1(lanes[index+1].operand_3),
                    .factor_0(multiplier_3), .factor_1(lanes[index+1].multiplier_3),
                    .both(fire_4[SHARING-1]), .product_0(product_4), .product_1(lanes[index+1].product_4),
                    .carry(lanes[index+1].carry_4)
                );
                assign carry_4 = 1'b0;
            end
        end
    endgenerate

    // Drain, requantisers, tables, write: SUMS in parallel; the last clock of a tile may use only the first ones.
    wire [ADDRESS_WIDTH-1:0] parameter_address, result_address;
    wire [SUMS*ADDRESS_WIDTH-1:0] table_address;
    wire parameter_enable, table_read, sum_pixel_end, wrapped;
    wire [SUMS-1:0] sum_valid, word_valid, word_overflowed, result_valid;
    wire [SUMS*SUM-1:0] sums;
    wire [SUMS*PARAMETER-1:0] parameters;
    wire [SUMS*WORD-1:0] words, table_words, results;
    wire [SUMS*32-1:0] noise_numbers;
    wire signed [WORD-1:0] best;
    reg [REQUANTIZE-1:0] pixel_ends;
    always @(posedge clock) pixel_ends <= {pixel_ends[REQUANTIZE-2:0], sum_pixel_end};

    wire complete, complete_pixel_end;
    wire [CHANNEL_WIDTH-1:0] complete_channels;
    wire [COUNT*SUM-1:0] tile_sums;
    generate
        if (JOIN != 0) begin : joined
            reg complete_6, pixel_end_6;
            reg [2:0] join_6;
            reg [CHANNEL_WIDTH-1:0] channels_6;
            initial complete_6 = 1'b0;
            always @(posedge clock) begin
                complete_6 <= complete_5 && !reset;
                pixel_end_6 <= pixel_end_5;
                join_6 <= join_5;
                channels_6 <= channels_5;
            end
            group_sum #(.LANES(COUNT), .WORDS(READ), .WIDTH(SUM)) u_group_sum (
                .clock(clock), .complete(complete_6), .groups(join_6), .totals(totals), .sums(tile_sums)
            );
            assign complete = complete_6;
            assign complete_pixel_end = pixel_end_6;
            assign complete_channels = channels_6;
        end else begin : alone
            assign complete = complete_5;
            assign complete_pixel_end = pixel_end_5;
            assign complete_channels = channels_5;
            assign tile_sums = totals;
        end
    endgenerate

    drain #(
        .LANES(COUNT), .DRAIN(SUMS), .WIDTH(SUM),
        .WRAP_WIDTH(MODEL_SATURATE != 0 || MODEL_WIDTH < 0 ? 0 : MODEL_WIDTH), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) u_drain (
        .clock(clock), .reset(reset), .configure(configured), .parameter_base(parameter_base), .per_tile(per_tile),
        .modelled(modelled),
        .complete(complete), .channels(complete_channels), .pixel_end(complete_pixel_end), .totals(tile_sums),
        .parameter_enable(parameter_enable), .parameter_address(parameter_address), .out_valid(sum_valid),
        .out_pixel_end(sum_pixel_end), .sums(sums), .wrapped(wrapped)
    );

    // Without a multiplier its port is the highest bit of a channel's parameters, and is not used.
    localparam FACTOR_BITS = FACTOR > 0 ? FACTOR : 1;
    generate
        for (index = 0; index < SUMS; index = index + 1) begin : requantizers
            requantize #(
                .SUM_WIDTH(SUM), .BIAS_WIDTH(BIAS), .OUTPUT_WIDTH(WORD), .MULTIPLIER_WIDTH(FACTOR)
            ) u_requantize (
                .clock(clock), .reset(reset), .relu_before(relu_before), .relu_after(relu_after), .twice(twice),
                .leak(leak), .rounding(rounding),
                .overflow(overflow), .out_bits(out_bits), .out_signed(out_signed),
                .in_valid(sum_valid[index]), .sum(sums[index*SUM +: SUM]),
                .bias(parameters[index*PARAMETER +: BIAS]), .shift(parameters[index*PARAMETER+BIAS +: 6]),
                .multiplier(parameters[index*PARAMETER+PARAMETER-1 -: FACTOR_BITS]),
                .out_valid(word_valid[index]), .word(words[index*WORD +: WORD]), .overflowed(word_overflowed[index])
            );
        end
    endgenerate

    noise #(.DRAIN(SUMS)) u_noise (
        .clock(clock), .start(start), .seed(seed), .draw(word_valid & {SUMS{noise_enable}}), .numbers(noise_numbers)
    );

    write_back #(.DRAIN(SUMS), .WIDTH(WORD), .ADDRESS_WIDTH(ADDRESS_WIDTH)) u_write_back (
        .clock(clock), .reset(reset), .configure(configured), .output_base(output_base), .pixel_step(pixel_step),
        .clock_step(clock_step),
        .table_enable(table_enable), .table_base(table_base), .out_bits(out_bits),
        .noise_enable(noise_enable), .noise(noise_numbers),
        .in_valid(word_valid), .pixel_end(pixel_ends[REQUANTIZE-1]), .words(words), .table_read(table_read),
        .table_address(table_address), .table_words(table_words),
        .result_valid(result_valid), .result_address(result_address), .results(results)
    );

    wire [ADDRESS_WIDTH-1:0] best_index;
    argmax #(.DRAIN(SUMS), .WIDTH(WORD), .INDEX_WIDTH(ADDRESS_WIDTH)) u_argmax (
        .clock(clock), .clear(start || reset || configured && argmax_enable),
        .valid(result_valid & {SUMS{argmax_enable}}), .words(results), .index(best_index), .best(best)
    );
    assign argmax = {{(32-ADDRESS_WIDTH){1'b0}}, best_index};

    status #(.DRAIN(SUMS), .WIDTH(COUNTER)) u_status (
        .clock(clock), .clear(start || reset), .busy(busy), .mac(mac), .overflowed(word_valid & word_overflowed),
        .accumulator_lost(wrapped || |clipped_channel), .cycles(cycles), .mac_cycles(mac_cycles),
        .saturations(saturations), .accumulator_overflow(accumulator_overflow)
    );

    // Activation memory: read by the loop nest, by Load, or by the host; written by runs, by Store, or by the host.
    wire [ADDRESS_WIDTH-1:0] read_address =
        !busy ? host_address[ADDRESS_WIDTH-1:0] : loading ? access_address : nest_address;
    wire [ADDRESS_WIDTH-1:0] write_address =
        !busy ? host_address[ADDRESS_WIDTH-1:0] : access_write ? access_address : result_address;
    wire [1:0] source = !busy ? 2'd0 : !access_write ? 2'd1 : {1'b1, access_best};
    wire [WORD-1:0] first_word =
        source[1] ? (source[0] ? best : argmax[WORD-1:0])
                  : (source[0] ? results[WORD-1:0] : host_write_data);
    // The words of this clock: one of the host or of a Store, or those of a run.
    wire [SUMS-1:0] one_word = 1;
    wire [SUMS-1:0] write =
        busy && !access_write ? result_valid & {SUMS{write_enable}} : one_word & {SUMS{busy || host_write}};
    wire [SUMS*WORD-1:0] write_data;
    generate
        if (SUMS == 1) begin : one_result
            assign write_data = first_word;
        end else begin : several_results
            assign write_data = {results[SUMS*WORD-1:WORD], first_word};
        end
    endgenerate
    // What is written: that, or with HOST_WRITES a word of the host in the clocks that a busy engine leaves.
    wire [SUMS-1:0] memory_write;
    wire [ADDRESS_WIDTH-1:0] memory_address;
    wire [SUMS*WORD-1:0] memory_data;
    generate
        if (HOST_WRITES != 0) begin : shared_port
            assign host_turn = busy && !access_write && !(result_valid[0] && write_enable);
            assign memory_write = host_turn ? one_word & {SUMS{host_write}} : write;
            assign memory_address = host_turn ? host_address[ADDRESS_WIDTH-1:0] : write_address;
            assign memory_data = host_turn ? {SUMS{host_write_data}} : write_data;
        end else begin : own_port
            assign host_turn = 1'b0;
            assign memory_write = write;
            assign memory_address = write_address;
            assign memory_data = write_data;
        end
    endgenerate
    assign broadcast = read_words[WORD-1:0];
    assign host_read_data = broadcast;

    activation_memory #(
        .LANES(COUNT), .DRAIN(SUMS), .WORDS(READ), .WIDTH(WORD), .ROWS(ROWS), .IMAGE(ACTIVATION_IMAGE)
    ) u_activation_memory (
        .clock(clock), .read_row_address(read_address[LANE_BITS +: ROW_BITS]),
        .read_place(read_address[CHANNEL_WIDTH-1:0]), .read_whole(run[`RUN_VECTOR] && busy && !loading), .read_row(row),
        .read_words(read_words),
        .write(memory_write), .write_row_address(memory_address[LANE_BITS +: ROW_BITS]),
        .write_place(memory_address[CHANNEL_WIDTH-1:0]), .write_data(memory_data)
    );

    // The other memories are written by the load port, the weights also by the stream.
    wire load = load_enable && !busy;

    memory #(.WIDTH(32), .DEPTH(PROGRAM_DEPTH), .IMAGE(PROGRAM_IMAGE)) u_program_memory (
        .clock(clock), .read_enable(program_enable), .read_address(program_address[PROGRAM_BITS-1:0]),
        .read_data(program_word),
        .write_enable(load && load_memory == 2'd0), .write_address(load_address[PROGRAM_BITS-1:0]),
        .write_data(load_data[31:0])
    );
    // The last rows of the weight memory may be a window, which the stream fills while nothing is loaded.
    localparam LEGAL_WINDOW = WEIGHT_WINDOW >= 2 && WEIGHT_WINDOW <= WEIGHT_DEPTH;
    wire [ADDRESS_WIDTH-1:0] weight_read, weight_write;
    wire [COUNT*WEIGHT-1:0] weight_data;
    wire row_taken = weight_valid && weight_ready;
    generate
        if (LEGAL_WINDOW) begin : window
            wire [ADDRESS_WIDTH-1:0] read_row, write_row;
            weight_window #(
                .ROWS(WEIGHT_WINDOW), .FIRST(WEIGHT_DEPTH - WEIGHT_WINDOW), .ADDRESS_WIDTH(ADDRESS_WIDTH),
                .COUNTER_WIDTH(COUNTER)
            ) u_weight_window (
                .clock(clock), .reset(reset), .clear(start || reset),
                .valid(weight_valid), .ready(weight_ready), .hold(load), .write_row(write_row),
                .streamed(run[`RUN_STREAMED]), .set_up(set_up), .issue(mac), .restart(weights_restart),
                .last_pass(last_pass), .held(row_awaited),
                .read_row(read_row), .row_missing(row_missing), .stalls(stalls)
            );
            assign weight_read = run[`RUN_STREAMED] ? read_row : weight_address;
            assign weight_write = load ? load_address[ADDRESS_WIDTH-1:0] : write_row;
            assign weight_data = load ? load_data[COUNT*WEIGHT-1:0] : weight_row;
        end else begin : resident
            assign row_missing = 1'b0;
            assign weight_ready = 1'b0;
            assign stalls = 32'd0;
            assign weight_read = weight_address;
            assign weight_write = load_address[ADDRESS_WIDTH-1:0];
            assign weight_data = load_data[COUNT*WEIGHT-1:0];
        end
    endgenerate
    memory #(.WIDTH(COUNT * WEIGHT), .DEPTH(WEIGHT_DEPTH), .IMAGE(WEIGHT_IMAGE)) u_weight_memory (
        .clock(clock), .read_enable(1'b1), .read_address(weight_read[WEIGHT_BITS-1:0]), .read_data(weights),
        .write_enable(load && load_memory == 2'd1 || row_taken),
        .write_address(weight_write[WEIGHT_BITS-1:0]), .write_data(weight_data)
    );
    memory #(.WIDTH(SUMS * PARAMETER), .DEPTH(PARAMETER_DEPTH), .IMAGE(PARAMETER_IMAGE)) u_parameter_memory (
        .clock(clock), .read_enable(parameter_enable), .read_address(parameter_address[PARAMETER_BITS-1:0]),
        .read_data(parameters),
        .write_enable(load && load_memory == 2'd2), .write_address(load_address[PARAMETER_BITS-1:0]),
        .write_data(load_data[SUMS*PARAMETER-1:0])
    );
    // Each word has its own copy of the tables.
    generate
        for (index = 0; index < SUMS; index = index + 1) begin : tables
            wire [ADDRESS_WIDTH-1:0] code = table_address[index*ADDRESS_WIDTH +: ADDRESS_WIDTH];
            memory #(.WIDTH(WORD), .DEPTH(TABLE_DEPTH), .IMAGE(TABLE_IMAGE)) u_table_memory (
                .clock(clock), .read_enable(table_read), .read_address(code[TABLE_BITS-1:0]),
                .read_data(table_words[index*WORD +: WORD]),
                .write_enable(load && load_memory == 2'd3), .write_address(load_address[TABLE_BITS-1:0]),
                .write_data(load_data[WORD-1:0])
            );
        end
    endgenerate
endmodule
`default_nettype wire
