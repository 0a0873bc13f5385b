// SPDX-License-Identifier: MIT
// The activation memory: rows of LANES words, read by the row, written by up to DRAIN consecutive words, which may
// begin anywhere in a row and end in the next one.
//
//   read_row (two clocks after read_row_address) = the row
//
// A word that is written and read in the same clock is read as it was before. Banks are lanes that are written at the
// same row address, 64 at most: with DRAIN above 1 the first DRAIN lanes are a bank of their own, because what does not
// fit into the last lanes goes to them in the next row; if there are no other lanes, each is a bank. A bank declares
// whole rows and uses its own lanes of them, so that all banks have the same image.
// Python twin: `ActivationMemory` in fixedpoint_nn/hardware/emulator/activation_memory.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory #(
    // Words of a row: a power of two.
    parameter LANES = 8,
    // Words that are written in one clock: a power of two, at most LANES.
    parameter DRAIN = 1,
    // Bits of a word.
    parameter WIDTH = 16,
    // Number of rows.
    parameter ROWS = 512,
    // $readmemh file of the first contents, for synthesis; empty: none.
    parameter IMAGE = "",
    // Widths that follow; not to be set.
    parameter ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1,
    parameter PLACE_BITS = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                   clock,

    // Read port.
    input  wire [ROW_BITS-1:0]    read_row_address,
    output wire [LANES*WIDTH-1:0] read_row,

    // Write port: which words there are (none, or the first ones), and where the first one goes.
    input  wire [DRAIN-1:0]       write,
    input  wire [ROW_BITS-1:0]    write_row_address,
    input  wire [PLACE_BITS-1:0]  write_place,
    input  wire [DRAIN*WIDTH-1:0] write_data
);
    localparam TURNED = DRAIN > 1 && DRAIN == LANES, SPLIT = DRAIN > 1 && DRAIN < LANES ? 1 : 0;
    localparam MOST = TURNED ? 1 : 64;
    localparam BANKS = SPLIT + (LANES + MOST - 1) / MOST;
    localparam DRAIN_BITS = $clog2(DRAIN);
    // Bits of the number of a group of DRAIN lanes.
    localparam GROUP_BITS = LANES / DRAIN > 1 ? $clog2(LANES / DRAIN) : 1;
    localparam [GROUP_BITS-1:0] ONE_GROUP = 1;

    initial begin
        if (ROWS < 2) $fatal(1, "%m: ROWS = %0d; the activation memory needs at least 2 rows", ROWS);
    end

    // The words turned so that each stands at its lane, modulo DRAIN; the group of lanes in which the first one goes.
    wire [GROUP_BITS-1:0] group = LANES == DRAIN ? {GROUP_BITS{1'b0}} : write_place[PLACE_BITS-1 -: GROUP_BITS];
    wire [GROUP_BITS-1:0] next_group = LANES == DRAIN ? {GROUP_BITS{1'b0}} : group + ONE_GROUP;
    wire [DRAIN*WIDTH-1:0] turned_data;
    // Of each lane modulo DRAIN: it is written; it is in the next group.
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
            localparam FIRST = bank == 1 && SPLIT != 0 ? DRAIN : bank == 0 ? 0 : MOST * (bank - SPLIT);
            localparam WHOLE = bank == 0 && SPLIT != 0 ? DRAIN : MOST * (bank + 1 - SPLIT);
            localparam SIZE = (WHOLE < LANES ? WHOLE : LANES) - FIRST;
            wire in_next_row = TURNED ? wrapped[bank % DRAIN] : SPLIT != 0 && bank == 0 && &group;
            wire [ROW_BITS-1:0] row_address = write_row_address + {{(ROW_BITS-1){1'b0}}, in_next_row};
            reg [LANES*WIDTH-1:0] rows [0:ROWS-1];
            reg [SIZE*WIDTH-1:0] fetched, part;
            integer lane;
            initial if (IMAGE != "") $readmemh(IMAGE, rows);
            always @(posedge clock) begin
                if (|write_lane[FIRST +: SIZE])
                    for (lane = FIRST; lane < FIRST + SIZE; lane = lane + 1)
                        if (write_lane[lane])
                            rows[row_address][lane*WIDTH +: WIDTH] <= turned_data[lane%DRAIN*WIDTH +: WIDTH];
                fetched <= rows[read_row_address][FIRST*WIDTH +: SIZE*WIDTH];
                part <= fetched;
            end
            assign read_row[FIRST*WIDTH +: SIZE*WIDTH] = part;
        end
    endgenerate
endmodule
`default_nettype wire
