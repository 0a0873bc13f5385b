// SPDX-License-Identifier: MIT
// The largest word of a run and its index; of equal words the first. Latency: 1 clock; with more than one word per
// clock 2, of which the first finds the largest word of the clock.
//
// Python twin: numpy.argmax.
`default_nettype none
module argmax #(
    // Words per clock: a power of two.
    parameter DRAIN = 1,
    // Bits of a word.
    parameter WIDTH = 16,
    // Bits of the index.
    parameter INDEX_WIDTH = 16
) (
    input  wire                    clock,
    // A new search begins.
    input  wire                    clear,
    // The valid words: none, or the first ones.
    input  wire [DRAIN-1:0]        valid,
    input  wire [DRAIN*WIDTH-1:0]  words,
    output reg  [INDEX_WIDTH-1:0]  index,
    output reg  signed [WIDTH-1:0] best
);
    // The largest word of a clock, its position, and the number of words.
    wire any;
    wire signed [WIDTH-1:0] largest;
    wire [INDEX_WIDTH-1:0] offset, count;
    generate
        if (DRAIN == 1) begin : one_word
            assign any = valid;
            assign largest = words;
            assign offset = {INDEX_WIDTH{1'b0}};
            assign count = {{(INDEX_WIDTH-1){1'b0}}, 1'b1};
        end else begin : several_words
            localparam [INDEX_WIDTH-1:0] ONE = 1;
            reg found;
            reg signed [WIDTH-1:0] winner;
            reg [INDEX_WIDTH-1:0] winner_place, number;
            // A tournament: in each round, neighbouring winners are compared.
            reg [DRAIN*WIDTH-1:0] winners;
            reg [DRAIN*INDEX_WIDTH-1:0] places;
            reg [INDEX_WIDTH-1:0] total;
            reg [31:0] item;
            integer distance;
            always @* begin
                winners = words;
                total = {INDEX_WIDTH{1'b0}};
                for (item = 0; item < DRAIN; item = item + 1) begin
                    places[item*INDEX_WIDTH +: INDEX_WIDTH] = item[INDEX_WIDTH-1:0];
                    if (valid[item]) total = total + ONE;
                end
                for (distance = 1; distance < DRAIN; distance = 2 * distance)
                    for (item = 0; item < DRAIN; item = item + 2 * distance)
                        if (valid[item+distance] && $signed(winners[(item+distance)*WIDTH +: WIDTH])
                                                    > $signed(winners[item*WIDTH +: WIDTH])) begin
                            winners[item*WIDTH +: WIDTH] = winners[(item+distance)*WIDTH +: WIDTH];
                            places[item*INDEX_WIDTH +: INDEX_WIDTH] =
                                places[(item+distance)*INDEX_WIDTH +: INDEX_WIDTH];
                        end
            end
            initial found = 1'b0;
            always @(posedge clock) begin
                found <= valid[0] && !clear;
                winner <= winners[WIDTH-1:0];
                winner_place <= places[INDEX_WIDTH-1:0];
                number <= total;
            end
            assign any = found;
            assign largest = winner;
            assign offset = winner_place;
            assign count = number;
        end
    endgenerate

    reg [INDEX_WIDTH-1:0] seen;
    reg empty;

    always @(posedge clock)
        if (clear) begin
            seen <= {INDEX_WIDTH{1'b0}};
            index <= {INDEX_WIDTH{1'b0}};
            empty <= 1'b1;
        end else if (any) begin
            seen <= seen + count;
            empty <= 1'b0;
            if (empty || largest > best) begin
                index <= seen + offset;
                best <= largest;
            end
        end
endmodule
`default_nettype wire
