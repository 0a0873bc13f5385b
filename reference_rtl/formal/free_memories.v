// SPDX-License-Identifier: MIT
// The memories, abstracted for proofs: a read returns an unconstrained value. What holds with these holds for every
// program and all data, even if they change while they are read.
`default_nettype none
module memory #(
    parameter WIDTH = 16,
    parameter DEPTH = 1024,
    parameter IMAGE = ""
) (
    input  wire                     clock,
    input  wire                     read_enable,
    input  wire [$clog2(DEPTH)-1:0] read_address,
    output wire [WIDTH-1:0]         read_data,
    input  wire                     write_enable,
    input  wire [$clog2(DEPTH)-1:0] write_address,
    input  wire [WIDTH-1:0]         write_data
);
    wire [WIDTH-1:0] anything;
    assign read_data = anything;
endmodule

module activation_memory #(
    parameter LANES = 8,
    parameter DRAIN = 1,
    parameter WORDS = 1,
    parameter WIDTH = 16,
    parameter ROWS = 512,
    parameter IMAGE = "",
    parameter ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1,
    parameter PLACE_BITS = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                   clock,
    input  wire [ROW_BITS-1:0]    read_row_address,
    input  wire [PLACE_BITS-1:0]  read_place,
    input  wire                   read_whole,
    output wire [LANES*WIDTH-1:0] read_row,
    output wire [WORDS*WIDTH-1:0] read_words,
    input  wire [DRAIN-1:0]       write,
    input  wire [ROW_BITS-1:0]    write_row_address,
    input  wire [PLACE_BITS-1:0]  write_place,
    input  wire [DRAIN*WIDTH-1:0] write_data
);
    wire [(LANES+WORDS)*WIDTH-1:0] anything;
    assign {read_words, read_row} = anything;
endmodule
`default_nettype wire
