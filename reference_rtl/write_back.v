// SPDX-License-Identifier: MIT
// From the requantised words of a clock to the activation memory: optional table, output address.
//
//   stage 0   words; the tables are addressed with base | low out_bits bits of the word (or of the noise)
//   stage 2   the tables answer
//   stage 3   results and the address of the first of them
//
// The address starts at output_base; it goes up by clock_step + 1 with every clock, and by pixel_step + 1 at the end
// of a pixel.
// Python twin: `Emulator.run` in fixedpoint_nn/hardware/emulator/emulator.py.
`default_nettype none
module write_back #(
    // Words per clock.
    parameter DRAIN = 1,
    // Bits of a word.
    parameter WIDTH = 16,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                           clock,
    // Synchronous: discards the words in the pipeline.
    input  wire                           reset,

    // The run's settings. clock_step: the words of a clock minus one; pixel_step: the gap after a pixel, plus the
    // words of its last clock, minus one.
    input  wire                           configure,
    input  wire [ADDRESS_WIDTH-1:0]       output_base,
    input  wire [ADDRESS_WIDTH-1:0]       pixel_step,
    input  wire [ADDRESS_WIDTH-1:0]       clock_step,
    input  wire                           table_enable,
    input  wire [ADDRESS_WIDTH-1:0]       table_base,
    input  wire [5:0]                     out_bits,
    input  wire                           noise_enable,
    input  wire [DRAIN*32-1:0]            noise,

    // Stage 0: the valid words (none, or the first ones); whether their pixel ends with them.
    input  wire [DRAIN-1:0]               in_valid,
    input  wire                           pixel_end,
    input  wire [DRAIN*WIDTH-1:0]         words,
    output wire                           table_read,
    output wire [DRAIN*ADDRESS_WIDTH-1:0] table_address,

    // Stage 2.
    input  wire [DRAIN*WIDTH-1:0]         table_words,

    // Stage 3.
    output reg  [DRAIN-1:0]               result_valid,
    output reg  [ADDRESS_WIDTH-1:0]       result_address,
    output reg  [DRAIN*WIDTH-1:0]         results
);
    localparam [ADDRESS_WIDTH-1:0] ONES = {ADDRESS_WIDTH{1'b1}};

    reg [ADDRESS_WIDTH-1:0] mask;
    genvar number;
    generate
        for (number = 0; number < DRAIN; number = number + 1) begin : numbers
            wire signed [WIDTH-1:0] word = words[number*WIDTH +: WIDTH];
            wire [31:0] code = noise_enable ? noise[number*32 +: 32] : {{(32-WIDTH){word[WIDTH-1]}}, word};
            assign table_address[number*ADDRESS_WIDTH +: ADDRESS_WIDTH] = table_base | code[ADDRESS_WIDTH-1:0] & mask;
        end
    endgenerate

    reg [DRAIN-1:0] valid_1, valid_2;
    reg pixel_end_1, pixel_end_2;
    reg [DRAIN*WIDTH-1:0] words_1, words_2;
    reg [ADDRESS_WIDTH-1:0] next_address;
    reg starting;
    // The base is added to 0 one clock later; then the words of a clock, or the step to the next pixel. The extra bit
    // is the carry in that adds 1.
    wire [ADDRESS_WIDTH-1:0] increment = starting ? output_base : pixel_end_2 ? pixel_step : clock_step;
    wire [ADDRESS_WIDTH:0] address_sum = {next_address, 1'b1} + {increment, !starting};

    wire active = configure || starting || in_valid[0] || valid_1[0] || valid_2[0] || result_valid[0];
    assign table_read = in_valid[0] || valid_1[0];

    initial begin
        starting = 1'b0;
        valid_1 = {DRAIN{1'b0}};
        valid_2 = {DRAIN{1'b0}};
        result_valid = {DRAIN{1'b0}};
    end

    always @(posedge clock) begin
        if (active) begin
            starting <= configure;
            valid_1 <= in_valid;
            valid_2 <= valid_1;
            result_valid <= valid_2;
            if (in_valid[0]) begin
                words_1 <= words;
                pixel_end_1 <= pixel_end;
            end
            if (valid_1[0]) begin
                words_2 <= words_1;
                pixel_end_2 <= pixel_end_1;
            end
            if (valid_2[0]) begin
                results <= table_enable ? table_words : words_2;
                result_address <= next_address;
            end
            if (starting || valid_2[0]) next_address <= address_sum[ADDRESS_WIDTH:1];
        end
        if (configure) begin
            mask <= ~(ONES << out_bits);
            next_address <= {ADDRESS_WIDTH{1'b0}};
        end
        if (reset) begin
            valid_1 <= {DRAIN{1'b0}};
            valid_2 <= {DRAIN{1'b0}};
            result_valid <= {DRAIN{1'b0}};
        end
    end
endmodule
`default_nettype wire
