// SPDX-License-Identifier: MIT
// From a requantised word to the activation memory: optional table, output address.
//
//   stage 0   word; the table is addressed with base | low out_bits bits of the word (or of the noise)
//   stage 2   the table answers
//   stage 3   result and its address
//
// The address starts at output_base; it goes up by one with every word, and by output_gap more after each pixel.
// Python twin: `Emulator.run` in fixedpoint_nn/hardware/emulator/emulator.py.
`default_nettype none
module write_back #(
    // Bits of a word.
    parameter WIDTH = 16,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                     clock,
    // Synchronous: discards the words that are in the pipeline.
    input  wire                     reset,

    // The run's settings.
    input  wire                     configure,
    input  wire [ADDRESS_WIDTH-1:0] output_base,
    input  wire [ADDRESS_WIDTH-1:0] output_gap,
    input  wire                     table_enable,
    input  wire [ADDRESS_WIDTH-1:0] table_base,
    input  wire [5:0]               out_bits,
    input  wire                     noise_enable,
    input  wire [31:0]              noise,

    // Stage 0: the word; its pixel ends with it.
    input  wire                     in_valid,
    input  wire                     pixel_end,
    input  wire signed [WIDTH-1:0]  word,
    output wire                     table_read,
    output wire [ADDRESS_WIDTH-1:0] table_address,

    // Stage 2.
    input  wire signed [WIDTH-1:0]  table_word,

    // Stage 3.
    output reg                      result_valid,
    output reg  [ADDRESS_WIDTH-1:0] result_address,
    output reg  signed [WIDTH-1:0]  result
);
    localparam [31:0] ONES = 32'hFFFFFFFF;

    reg [31:0] mask;
    wire [31:0] code = noise_enable ? noise : {{(32-WIDTH){word[WIDTH-1]}}, word};
    wire [31:0] index = code & mask;
    assign table_address = table_base | index[ADDRESS_WIDTH-1:0];

    reg valid_1, valid_2, pixel_end_1, pixel_end_2;
    reg signed [WIDTH-1:0] word_1, word_2;
    reg [ADDRESS_WIDTH-1:0] next_address;
    reg starting;
    // The base is added to 0, the clock after; then 1, and the gap. The extra bit is the carry that adds the 1.
    wire [ADDRESS_WIDTH-1:0] increment = starting ? output_base : pixel_end_2 ? output_gap : {ADDRESS_WIDTH{1'b0}};
    wire [ADDRESS_WIDTH:0] address_sum = {next_address, 1'b1} + {increment, !starting};

    wire active = configure || starting || in_valid || valid_1 || valid_2 || result_valid;
    assign table_read = in_valid || valid_1;

    initial {valid_1, valid_2, result_valid, starting} = 4'b0;

    always @(posedge clock) begin
        if (active) begin
            {starting, valid_1, valid_2, result_valid} <= {configure, in_valid, valid_1, valid_2};
            if (in_valid) begin
                word_1 <= word;
                pixel_end_1 <= pixel_end;
            end
            if (valid_1) begin
                word_2 <= word_1;
                pixel_end_2 <= pixel_end_1;
            end
            if (valid_2) begin
                result <= table_enable ? table_word : word_2;
                result_address <= next_address;
            end
            if (starting || valid_2) next_address <= address_sum[ADDRESS_WIDTH:1];
        end
        if (configure) begin
            mask <= ~(ONES << out_bits);
            next_address <= {ADDRESS_WIDTH{1'b0}};
        end
        if (reset) {valid_1, valid_2, result_valid} <= 3'b0;
    end
endmodule
`default_nettype wire
