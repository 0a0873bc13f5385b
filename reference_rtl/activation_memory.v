// SPDX-License-Identifier: MIT
// The activation memory: rows of LANES words, read by the row or by WORDS consecutive words, written by up to DRAIN
// consecutive words; consecutive words may begin anywhere in a row and end in the next one.
//
//   read_row   (two clocks after its address) = the row, with read_whole
//   read_words (two clocks after its address) = the words from read_place on
//
// A read in the clock of a write to the same word returns the old word. A bank is a group of at most 64 lanes with the
// same row address: with DRAIN or WORDS above 1 that many of the first lanes are a separate bank, because words that do
// not fit into the last lanes are there, in the next row; if there are no other lanes, each lane is a bank. A bank
// declares whole rows and uses only its own lanes, so that all banks have the same image. Banks of
// 64 rows and of 64 bits or more are block memories; smaller ones are what a tool makes of them.
// Python twin: `ActivationMemory` in fixedpoint_nn/hardware/emulator/activation_memory.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory #(
    // Words of a row: a power of two.
    parameter LANES = 8,
    // Words that are written in one clock: a power of two, at most LANES.
    parameter DRAIN = 1,
    // Consecutive words that are read in one clock: a power of two, at most LANES.
    parameter WORDS = 1,
    // Bits of a word.
    parameter WIDTH = 16,
    // Number of rows.
    parameter ROWS = 512,
    // $readmemh file of the initial contents, for synthesis; empty: none.
    parameter IMAGE = "",
    // Derived, not to be set: widths, the lanes that may have another row address than the others, how banks are made.
    parameter ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1,
    parameter PLACE_BITS = LANES > 1 ? $clog2(LANES) : 1,
    parameter MOVING = DRAIN > WORDS ? DRAIN : WORDS,
    parameter SMALLEST_BANK = MOVING == 1 ? LANES : MOVING == LANES ? 1 : MOVING,
    parameter STYLE = ROWS >= 64 && SMALLEST_BANK * WIDTH >= 64 ? "block" : "auto"
) (
    input  wire                   clock,

    // Read port: a row, or the words from a place on.
    input  wire [ROW_BITS-1:0]    read_row_address,
    input  wire [PLACE_BITS-1:0]  read_place,
    input  wire                   read_whole,
    output wire [LANES*WIDTH-1:0] read_row,
    output wire [WORDS*WIDTH-1:0] read_words,

    // Write port: which words are valid (none, or the first ones), and the place of the first.
    input  wire [DRAIN-1:0]       write,
    input  wire [ROW_BITS-1:0]    write_row_address,
    input  wire [PLACE_BITS-1:0]  write_place,
    input  wire [DRAIN*WIDTH-1:0] write_data
);
    localparam TURNED = MOVING > 1 && MOVING == LANES, SPLIT = MOVING > 1 && MOVING < LANES ? 1 : 0;
    localparam MOST = TURNED ? 1 : 64;
    localparam BANKS = SPLIT + (LANES + MOST - 1) / MOST;
    localparam DRAIN_BITS = $clog2(DRAIN);
    // Bits of the number of a group of DRAIN lanes.
    localparam GROUP_BITS = LANES / DRAIN > 1 ? $clog2(LANES / DRAIN) : 1;
    localparam [GROUP_BITS-1:0] ONE_GROUP = 1;
    localparam [PLACE_BITS-1:0] ALL_PLACES = {PLACE_BITS{1'b1}};

    initial begin
        if (ROWS < 2) $fatal(1, "%m: ROWS = %0d; the activation memory needs at least 2 rows", ROWS);
    end

    // The words rotated to their lanes, modulo DRAIN; the group of lanes of the first word.
    wire [GROUP_BITS-1:0] group = LANES == DRAIN ? {GROUP_BITS{1'b0}} : write_place[PLACE_BITS-1 -: GROUP_BITS];
    wire [GROUP_BITS-1:0] next_group = LANES == DRAIN ? {GROUP_BITS{1'b0}} : group + ONE_GROUP;
    wire last_group = LANES == DRAIN || &group;
    // A read that begins in the last lanes continues in the next row.
    localparam MOVING_BITS = $clog2(MOVING);
    wire reads_on = WORDS > 1 && !read_whole && &(read_place >> MOVING_BITS | ~(ALL_PLACES >> MOVING_BITS));
    wire [DRAIN*WIDTH-1:0] turned_data;
    // For each lane modulo DRAIN: whether it is written; whether it is in the next group.
    wire [DRAIN-1:0] turned_write, wrapped;
    generate
        if (DRAIN == 1) begin : one_word
            assign turned_data = write_data;
            assign turned_write = write;
            assign wrapped = 1'b0;
        end else begin : several_words
            reg [DRAIN*WIDTH-1:0] data;
            reg [DRAIN-1:0] mask, wraps;
            integer stage, lane;
            always @* begin
                data = write_data;
                mask = write;
                for (stage = 0; stage < DRAIN_BITS; stage = stage + 1)
                    if (write_place[stage]) begin
                        data = data << (WIDTH << stage) | data >> (WIDTH * DRAIN - (WIDTH << stage));
                        mask = mask << (1 << stage) | mask >> (DRAIN - (1 << stage));
                    end
                for (lane = 0; lane < DRAIN; lane = lane + 1) wraps[lane] = lane < write_place[DRAIN_BITS-1:0];
            end
            assign turned_data = data;
            assign turned_write = mask;
            assign wrapped = wraps;
        end
    endgenerate

    wire [LANES-1:0] write_lane;
    genvar index, bank;
    generate
        for (index = 0; index < LANES; index = index + 1) begin : lanes
            localparam [31:0] GROUP = index / DRAIN;
            wire here = GROUP[GROUP_BITS-1:0] == group, next = GROUP[GROUP_BITS-1:0] == next_group;
            assign write_lane[index] = turned_write[index % DRAIN] && (wrapped[index % DRAIN] ? next : here);
        end
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : banks
            localparam FIRST = bank == 1 && SPLIT != 0 ? MOVING : bank == 0 ? 0 : MOST * (bank - SPLIT);
            localparam WHOLE = bank == 0 && SPLIT != 0 ? MOVING : MOST * (bank + 1 - SPLIT);
            localparam [31:0] BANK = bank;
            localparam SIZE = (WHOLE < LANES ? WHOLE : LANES) - FIRST;
            wire in_next_row = TURNED ? wrapped[bank % DRAIN] && last_group : SPLIT != 0 && bank == 0 && last_group;
            wire from_next_row = reads_on && (TURNED ? BANK[PLACE_BITS-1:0] < read_place : SPLIT != 0 && bank == 0);
            wire [ROW_BITS-1:0] row_address = write_row_address + {{(ROW_BITS-1){1'b0}}, in_next_row};
            wire [ROW_BITS-1:0] read_address = read_row_address + {{(ROW_BITS-1){1'b0}}, from_next_row};
            (* ram_style = STYLE *)
            reg [LANES*WIDTH-1:0] rows [0:ROWS-1];
            reg [SIZE*WIDTH-1:0] fetched, part;
            integer lane;
            initial if (IMAGE != "") $readmemh(IMAGE, rows);
            always @(posedge clock) begin
                if (|write_lane[FIRST +: SIZE])
                    for (lane = FIRST; lane < FIRST + SIZE; lane = lane + 1)
                        if (write_lane[lane])
                            rows[row_address][lane*WIDTH +: WIDTH] <= turned_data[lane%DRAIN*WIDTH +: WIDTH];
                fetched <= rows[read_address][FIRST*WIDTH +: SIZE*WIDTH];
                part <= fetched;
            end
            assign read_row[FIRST*WIDTH +: SIZE*WIDTH] = part;
        end

        // The words from the place on. Each lane modulo WORDS yields one, from the group of WORDS lanes of the place
        // or from the next group; then they are rotated.
        if (LANES == 1) begin : one_lane
            assign read_words = read_row;
        end else begin : many_lanes
            localparam CLASSES = LANES / WORDS, CLASS_BITS = CLASSES > 1 ? $clog2(CLASSES) : 1;
            reg [PLACE_BITS-1:0] place_1, place_2;
            always @(posedge clock) begin
                place_1 <= read_place;
                place_2 <= place_1;
            end
            if (WORDS == 1) begin : one_word_read
                wire [WIDTH-1:0] words_of_row [0:LANES-1];
                for (index = 0; index < LANES; index = index + 1) begin : columns
                    assign words_of_row[index] = read_row[index*WIDTH +: WIDTH];
                end
                assign read_words = words_of_row[place_2];
            end else begin : several_words_read
                localparam WORD_BITS = $clog2(WORDS);
                localparam [CLASS_BITS-1:0] ONE_CLASS = 1;
                wire [CLASS_BITS-1:0] class_ = CLASSES == 1 ? {CLASS_BITS{1'b0}} : place_2[PLACE_BITS-1 -: CLASS_BITS];
                wire [CLASS_BITS-1:0] next_class = CLASSES == 1 ? {CLASS_BITS{1'b0}} : class_ + ONE_CLASS;
                wire [WORDS*WIDTH-1:0] chosen;
                for (index = 0; index < WORDS; index = index + 1) begin : columns
                    localparam [31:0] COLUMN = index;
                    wire [WIDTH-1:0] candidates [0:CLASSES-1];
                    for (bank = 0; bank < CLASSES; bank = bank + 1) begin : classes
                        assign candidates[bank] = read_row[(bank*WORDS+index)*WIDTH +: WIDTH];
                    end
                    wire behind = COLUMN[WORD_BITS-1:0] < place_2[WORD_BITS-1:0];
                    assign chosen[index*WIDTH +: WIDTH] = candidates[behind ? next_class : class_];
                end
                reg [WORDS*WIDTH-1:0] turned;
                integer turn;
                always @* begin
                    turned = chosen;
                    for (turn = 0; turn < WORD_BITS; turn = turn + 1)
                        if (place_2[turn])
                            turned = turned >> (WIDTH << turn) | turned << (WIDTH * WORDS - (WIDTH << turn));
                end
                assign read_words = turned;
            end
        end
    endgenerate
endmodule
`default_nettype wire
