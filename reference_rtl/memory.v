// SPDX-License-Identifier: MIT
// A memory with one read port and one write port.
//
//   read_data (two enabled clocks after read_address) = words[read_address]
//
// The second clock is the block memory's output register. A read in the clock of a write to the same word returns
// the old word.
// Python twin: an array.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module memory #(
    // Bits of a word.
    parameter WIDTH = 16,
    // Number of words.
    parameter DEPTH = 1024,
    // $readmemh file of the initial contents, for synthesis; empty: none.
    parameter IMAGE = ""
) (
    input  wire                     clock,

    // Read port; both stages hold while read_enable is low.
    input  wire                     read_enable,
    input  wire [$clog2(DEPTH)-1:0] read_address,
    output reg  [WIDTH-1:0]         read_data,

    // Write port.
    input  wire                     write_enable,
    input  wire [$clog2(DEPTH)-1:0] write_address,
    input  wire [WIDTH-1:0]         write_data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    reg [WIDTH-1:0] fetched;

    initial begin
        if (DEPTH < 2) $fatal(1, "%m: DEPTH = %0d; a memory needs at least 2 words", DEPTH);
        if (IMAGE != "") $readmemh(IMAGE, words);
    end

    always @(posedge clock) begin
        if (write_enable) words[write_address] <= write_data;
        if (read_enable) begin
            fetched   <= words[read_address];
            read_data <= fetched;
        end
    end
endmodule
`default_nettype wire
